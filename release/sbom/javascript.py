"""The JavaScript packages in the built bridge: those of which the bundler took a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from errors import Exit, Fault
from release.sbom.part import Part, npm

BRIDGE: Final = "Contents/Resources/bridge.js"
_MODULES: Final = "node_modules/"


def parts(packages: Sequence[str], lock: Mapping[str, Mapping[str, Any]]) -> tuple[Part, ...]:
    """Return the packages that went into the bridge; `packages` and `lock` name them `node_modules/<name>`.

    Raises Fault BUNDLE if the lock file lacks one.
    """
    if strange := [path for path in packages if path not in lock]:
        raise Fault(
            "the bridge holds what is not in its lock file", details=tuple(strange), status=Exit.BUNDLE
        )
    return tuple(_part(path, lock, packages) for path in sorted(packages))


def purl_of(path: str, lock: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the purl of the package at a place of the lock file."""
    return npm(_name(path), str(lock[path]["version"]))


def _part(path: str, lock: Mapping[str, Mapping[str, Any]], present: Sequence[str]) -> Part:
    entry, name = lock[path], _name(path)
    found = (_resolved(path, each, lock) for each in sorted(entry.get("dependencies", {})))
    return Part(
        name=name,
        version=str(entry["version"]),
        purl=purl_of(path, lock),
        licence=_licence(name, str(entry.get("license", ""))),
        places=(BRIDGE,),
        digests=(str(entry["integrity"]),),
        origin=purl_of(path, lock),
        needs=tuple(purl_of(each, lock) for each in found if each in present),
    )


def _resolved(path: str, name: str, lock: Mapping[str, Mapping[str, Any]]) -> str:
    """Return where a package finds another: in its own folder, or in one above."""
    while path:
        if (inside := f"{path}/{_MODULES}{name}") in lock:
            return inside
        path = path.rpartition(f"/{_MODULES}")[0]
    return f"{_MODULES}{name}"


def _name(path: str) -> str:
    return path.rpartition(_MODULES)[2]


def _licence(name: str, stated: str) -> str:
    """Tell npm's way of pointing to a file from a licence's name."""
    return f"the licence in {name}" if stated.startswith("SEE LICENSE") else stated
