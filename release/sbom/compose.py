"""Compose the document: from an app and what it was built from to CycloneDX."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.inputs.bridge import read_lock
from release.sbom import cyclonedx, javascript, native, python


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What an app was built from.

    `site_packages`: the folder of its Python packages; `lock` and `wishes`: requirements/app.txt and app.in;
    `bridge_lock`: the bridge's package-lock.json; `bridge_packages`: those that went into it;
    `inputs_note`: what the inputs step wrote down.
    """

    site_packages: Path
    lock: Path
    wishes: Path
    bridge_lock: Path
    bridge_packages: Sequence[str]
    inputs_note: Path


def compose(app: Path, subject: cyclonedx.Subject, made_from: Ingredients) -> bytes:
    """Return the document for the app at `app` (.app): CycloneDX JSON, the same for the same inputs.

    Raises PartsFault for anything in the app that cannot be accounted for.
    """
    note = json.loads(made_from.inputs_note.read_text("utf-8"))
    lock = read_lock(made_from.bridge_lock)
    packages = python.parts(app, made_from.site_packages, made_from.lock, arch=subject.arch)
    bridge = javascript.parts(made_from.bridge_packages, lock)
    rest = native.parts(app, note, arch=subject.arch)
    asked = _wishes(made_from.wishes)
    roots = [each.purl for each in packages if each.name in asked]
    roots += [
        javascript.purl_of(path, lock) for path in _direct(made_from) if path in made_from.bridge_packages
    ]
    roots += [each.purl for each in rest if each.name in native.RUNTIMES]
    return cyclonedx.render(subject, [*packages, *bridge, *rest], roots)


def _wishes(path: Path) -> set[str]:
    """Return the names in app.in: the Python packages that our own code asks for."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return {canonicalize_name(Requirement(line).name) for line in lines if line}


def _direct(made_from: Ingredients) -> list[str]:
    """Return the packages that the bridge itself asks for, as the lock file names them."""
    package = json.loads(made_from.bridge_lock.with_name("package.json").read_bytes())
    return [f"node_modules/{name}" for name in package["dependencies"]]
