"""One third-party part of an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from packageurl import PackageURL

from errors import Exit, Fault

Kind = Literal["library", "framework", "platform", "application"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part with a version of its own.

    `purl` names it for good. `digests` are those of the files that it may have been taken from, by the lock
    or pin in force (`sha256:<hex>` or `sha512-<base64>`), `origin` is that file's purl. `places` are paths
    below the .app; a path may go on inside a ZIP file. `needs` are purls of other parts.
    """

    name: str
    version: str
    purl: str
    licence: str
    places: tuple[str, ...]
    kind: Kind = "library"
    digests: tuple[str, ...] = ()
    origin: str = ""
    needs: tuple[str, ...] = ()
    cpe: str | None = None
    note: str = ""


class PartsFault(Fault):
    """Something in a bundle that cannot be accounted for."""

    status = Exit.AUDIT


def pypi(name: str, version: str) -> str:
    """Return the purl of a Python package."""
    return PackageURL("pypi", name=name, version=version).to_string()


def npm(name: str, version: str) -> str:
    """Return the purl of a JavaScript package; `name` may have a scope."""
    scope, _, bare = name.rpartition("/")
    return PackageURL("npm", namespace=scope or None, name=bare, version=version).to_string()


def generic(name: str, version: str) -> str:
    """Return the purl of what no registry has."""
    return PackageURL("generic", name=name, version=version).to_string()


def github(owner: str, name: str, version: str) -> str:
    """Return the purl of a project that its releases on GitHub are known by."""
    return PackageURL("github", namespace=owner, name=name, version=version).to_string()
