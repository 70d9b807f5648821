"""Where bundles (apps, XPC services, plug-ins, frameworks) keep Info.plist, executable, seal and code."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import Exit, Fault
from signing.binary import Malformed
from signing.macho import is_macho

SUFFIXES = frozenset((".app", ".xpc", ".framework", ".bundle", ".appex", ".plugin", ".kext", ".dSYM"))
MAX_PLIST = 64 << 20
SEAL = "_CodeSignature/CodeResources"


class BadPlist(Fault):
    """A property list cannot be read."""

    status = Exit.PLIST


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's parts as paths.

    `base` is what the seal's paths count from: Contents, or a framework's version folder. `executable` is
    None where Info.plist names none.
    """

    root: Path
    base: Path
    info: Path
    executable: Path | None
    plist: Mapping[str, Any]

    @property
    def seal(self) -> Path:
        """The CodeResources file."""
        return self.base / SEAL

    @property
    def identifier(self) -> str | None:
        """CFBundleIdentifier."""
        found = self.plist.get("CFBundleIdentifier")
        return found if isinstance(found, str) else None

    @property
    def is_framework(self) -> bool:
        """Whether this is a versioned framework."""
        return self.root.suffix == ".framework"


def is_bundle(path: Path) -> bool:
    """Whether `path` is a folder laid out as a bundle: its suffix alone does not make it one."""
    if path.is_symlink() or not path.is_dir():
        return False
    if path.suffix == ".framework":
        return (path / "Versions").is_dir()
    return path.suffix in SUFFIXES and (path / "Contents" / "Info.plist").is_file()


def load(root: Path, version: str | None = None) -> Bundle:
    """Read the bundle at `root`; of a framework its current version, or `version`."""
    if root.suffix == ".framework":
        base = root / "Versions" / (version or current_version(root))
        info = base / "Resources" / "Info.plist"
        folder = base
    else:
        base = root / "Contents"
        info = base / "Info.plist"
        folder = base / "MacOS"
    if not base.is_dir():
        raise Malformed("is not a macOS bundle: its Contents or Versions folder is missing", where=root)
    plist = read_plist(info)
    name = plist.get("CFBundleExecutable")
    executable = folder / name if isinstance(name, str) and name and "/" not in name else None
    return Bundle(root, base, info, executable, plist)


def current_version(framework: Path) -> str:
    """The version Versions/Current leads to; Malformed if it is not a link to a sibling."""
    link = framework / "Versions" / "Current"
    target = link.readlink() if link.is_symlink() else Path()
    if len(target.parts) != 1 or target.name in ("", "..") or not (link.parent / target).is_dir():
        raise Malformed("has no link Versions/Current to one of its versions", where=framework)
    return target.name


def read_plist(path: Path) -> dict[str, Any]:
    """A property list whose top is a dictionary; BadPlist otherwise, whatever is wrong with it."""
    cure = "repair it or build the bundle again; `plutil -lint` on a Mac says where it is broken"
    try:
        if path.exists() and not path.is_file():
            raise BadPlist("the property list is not a file", where=path, cure=cure)
        if path.stat().st_size > MAX_PLIST:
            raise BadPlist("the property list is too large to be one", where=path, cure=cure)
        return parse_plist(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadPlist(f"the property list cannot be read: {reason}", where=path, cure=cure) from error
    except ValueError as error:
        raise BadPlist(f"the property list cannot be understood: {error}", where=path, cure=cure) from error


def parse_plist(data: bytes) -> dict[str, Any]:
    """A property list's dictionary; ValueError for everything else."""
    try:
        found = plistlib.loads(data)
    except Exception as error:  # plistlib lets expat's, struct's and its own errors through
        raise ValueError(str(error)[:200] or type(error).__name__) from error
    if not isinstance(found, dict):
        raise ValueError("its top is not a dictionary")
    return found


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of code right inside a bundle: a nested bundle (of a framework, one version), or a Mach-O."""

    path: Path
    is_bundle: bool


def code(bundle: Bundle) -> Iterator[Code]:
    """The bundle's nested bundles and loose Mach-O files, without what is inside nested bundles.

    Its own main executable is not among them: that one is signed with the bundle.
    """
    yield from _code(bundle.base, bundle.executable)


def _code(folder: Path, main: Path | None) -> Iterator[Code]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if is_bundle(path):
                yield Code(path, True)
            else:
                yield from _code(path, main)
        elif entry.is_file(follow_symlinks=False) and path != main and is_macho(path):
            yield Code(path, False)


def framework_problems(root: Path) -> Iterator[str]:
    """What no seal covers: a framework's root may only hold Versions and links into the current version."""
    versions = root / "Versions"
    for entry in sorted(root.iterdir()):
        if entry.name == "Versions":
            continue
        if not entry.is_symlink() or str(entry.readlink()) != f"Versions/Current/{entry.name}":
            yield f"{entry.name} at its root is not a link into the current version, and nothing seals it"
        elif not entry.exists():
            yield f"the link {entry.name} at its root leads nowhere"
    for entry in sorted(versions.iterdir()):
        if entry.name != "Current" and (entry.is_symlink() or not entry.is_dir()):
            yield f"Versions/{entry.name} is not a version, and nothing seals it"


def root_problems(root: Path) -> Iterator[str]:
    """What no seal covers: a bundle's root may only hold Contents."""
    for entry in sorted(root.iterdir()):
        if entry.name != "Contents":
            yield f"{entry.name} lies beside Contents, and nothing seals it"


def other_versions(bundle: Bundle) -> list[str]:
    """A framework's versions besides the current one."""
    found = [each for each in sorted((bundle.root / "Versions").iterdir()) if each.name != "Current"]
    return [
        each.name
        for each in found
        if each.is_dir() and not each.is_symlink() and each.name != bundle.base.name
    ]


def pkginfo_problems(bundle: Bundle) -> Iterator[str]:
    """PkgInfo is left out of every seal; all it may say is what Info.plist says: type and creator."""
    path = bundle.base / "PkgInfo"
    if not path.is_file():
        return
    kind, creator = (bundle.plist.get(key) for key in ("CFBundlePackageType", "CFBundleSignature"))
    allowed = {f"{kind or 'APPL'}{creator or '????'}".encode()}
    with path.open("rb") as stream:
        if stream.read(64).rstrip(b"\n") not in allowed:
            yield "has a PkgInfo that contradicts its Info.plist"
