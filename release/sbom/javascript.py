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
    names = {path: _name(path) for path in packages}
    return tuple(_part(path, lock[path], set(names.values())) for path in sorted(packages))


def _part(path: str, entry: Mapping[str, Any], present: set[str]) -> Part:
    name, version = _name(path), str(entry["version"])
    return Part(
        name=name,
        version=version,
        purl=npm(name, version),
        licence=_licence(name, str(entry.get("license", ""))),
        places=(BRIDGE,),
        digests=(str(entry["integrity"]),),
        origin=npm(name, version),
        needs=tuple(sorted(set(entry.get("dependencies", {})) & present)),
    )


def _name(path: str) -> str:
    return path.rpartition(_MODULES)[2]


def _licence(name: str, stated: str) -> str:
    """Tell npm's way of pointing to a file from a licence's name."""
    return f"the licence in {name}" if stated.startswith("SEE LICENSE") else stated
