"""The Python packages in an app: those of which a module is really there.

The bundle holds modules without their packages' metadata. The folder that it was built from holds both, and
its RECORD files tell which module is from which package.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.sbom.part import Part, PartsFault, pypi

OURS: Final = frozenset({"app", "site"})  # py2app writes a site module of its own
_LIBRARY: Final = "Contents/Resources/lib"
_CODE: Final = (".py", ".pyc", ".so")
_LOCKED: Final = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_HASH: Final = re.compile(r"--hash=(sha256:[0-9a-f]{64})")

Modules = Mapping[str, frozenset[str]]
"""A module's path without suffix, `anyio/_core/_tasks` → the folders or archives of the bundle it is in."""


def parts(app: Path, site_packages: Path, lock: Path, *, arch: str) -> tuple[Part, ...]:
    """Return the packages that `app` (.app) has modules of, `site_packages` being what it was built from.

    `lock` is the hashed requirements file. Raises PartsFault if a module is from nowhere.
    """
    found = modules(app)
    owned = {each: _stems(each) & found.keys() for each in distributions(path=[str(site_packages)])}
    present = {each: stems for each, stems in owned.items() if stems}
    _require_owned(found, frozenset[str]().union(*present.values()))
    tops = [top for stems in present.values() for top in {_top(stem) for stem in stems}]
    shared = frozenset(top for top in tops if tops.count(top) > 1)
    digests, purls = locked(lock), {_name(each): pypi(_name(each), each.version) for each in present}
    return tuple(
        Part(
            name=_name(each),
            version=each.version,
            purl=purls[_name(each)],
            licence=licence(each),
            places=_places(stems, found, shared),
            digests=digests.get((_name(each), each.version), ()),
            origin=purls[_name(each)],
            needs=tuple(purls[name] for name in sorted(_needs(each, arch) & purls.keys())),
        )
        for each, stems in sorted(present.items(), key=lambda pair: _name(pair[0]))
    )


def modules(app: Path) -> Modules:
    """Return every Python module in an app, byte code or native, the standard library's included."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for place, name in _files(app):
        path = PurePosixPath(name)
        if path.suffix in _CODE:
            places[_stem(path)].add(place)
    return {stem: frozenset(found) for stem, found in places.items()}


def locked(lock: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Read a hashed requirements file: (name, version) → the digests of the files that are accepted."""
    lines = lock.read_text("utf-8").replace("\\\n", " ").splitlines()
    return {
        (canonicalize_name(match[1]), match[2]): tuple(_HASH.findall(line))
        for line in lines
        if (match := _LOCKED.match(line))
    }


def licence(package: Distribution) -> str:
    """Return a package's licence as its metadata states it: SPDX expression, short name or classifier."""
    stated = _field(package, "License-Expression") or _field(package, "License")
    if stated and "\n" not in stated and stated != "UNKNOWN":
        return stated
    classifiers = package.metadata.get_all("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    return " and ".join(named)


def _field(package: Distribution, name: str) -> str:
    return next(iter(package.metadata.get_all(name) or ()), "")


def _files(app: Path) -> Iterator[tuple[str, str]]:
    """Yield (place in the bundle, name below it) of every file in the archives and folders of modules."""
    library = app / _LIBRARY
    for archive in sorted(library.glob("python*.zip")):
        place = archive.relative_to(app).as_posix()
        with zipfile.ZipFile(archive) as opened:
            yield from ((place, name) for name in opened.namelist())
    for folder in sorted(path for path in library.glob("python*") if path.is_dir()):
        native = folder / "lib-dynload"
        for path in sorted(folder.rglob("*")):
            base = native if path.is_relative_to(native) else folder
            if path.is_file():
                yield base.relative_to(app).as_posix(), path.relative_to(base).as_posix()


def _stem(path: PurePosixPath) -> str:
    """Cut the suffixes: `uvloop/loop.cpython-311-darwin.so` is the module `uvloop/loop`."""
    return str(path.with_name(path.name.partition(".")[0]))


def _top(stem: str) -> str:
    return stem.partition("/")[0]


def _stems(package: Distribution) -> frozenset[str]:
    return frozenset(_stem(path) for path in package.files or () if path.suffix in _CODE)


def _name(package: Distribution) -> str:
    return canonicalize_name(package.metadata["Name"])


def _require_owned(found: Modules, owned: Collection[str]) -> None:
    """Raise PartsFault for modules of no package; what makes a namespace a package may be py2app's."""
    tops = {_top(stem) for stem in owned}
    known = sys.stdlib_module_names | OURS
    lost = sorted(
        stem
        for stem in found
        if stem not in owned
        and _top(stem) not in known
        and not (stem.endswith("/__init__") and _top(stem) in tops)
    )
    if lost:
        raise PartsFault(
            f"{len(lost)} modules in the app are of no known package",
            details=tuple(lost[:8]),
            cure="see how they got in: they are neither locked nor ours",
        )


def _places(stems: Collection[str], found: Modules, shared: Collection[str]) -> tuple[str, ...]:
    """Return where a package's modules are: at its own top level, or one below a name that several share."""
    heads = {}
    for stem in stems:
        depth = 2 if _top(stem) in shared else 1
        heads[stem] = "/".join(stem.split("/")[:depth])
    return tuple(sorted({f"{place}/{heads[stem]}" for stem in stems for place in found[stem]}))


def _needs(package: Distribution, arch: str) -> set[str]:
    """Return the names that a package requires on a Mac, extras aside."""
    environment = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "extra": ""}
    environment["platform_machine"] = "x86_64" if arch == "x86_64" else "arm64"
    wanted = [Requirement(line) for line in package.requires or ()]
    return {
        canonicalize_name(one.name)
        for one in wanted
        if one.marker is None or one.marker.evaluate(environment)
    }
