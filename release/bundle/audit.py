"""Look over a finished bundle for what a Mac, its notary or a user would trip over later.

Nothing is run. Each finding has an id, says where and what, and what to do. `CHECKS` lists all ids.
"""

from __future__ import annotations

import importlib.util
import marshal
import plistlib
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Literal
from xml.parsers.expat import ExpatError

from errors import Exit, Fault
from release.bundle import machos, plist, thin
from release.bundle.spec import SLICES

Severity = Literal["error", "warning"]

CHECKS: dict[str, tuple[Severity, str]] = {
    "elf": ("error", "take the macOS build of it: it comes from the builder's system"),
    "arch": ("error", "take an input that has this architecture, or choose another arch in release.toml"),
    "damaged": ("error", "fetch this input again: ./invoke release --force inputs"),
    "library": ("error", "pack the library too, or link to one that comes with macOS"),
    "minimum": ("error", "raise minimum_system in release.toml, or take an older build of it"),
    "magic": ("error", "compile with the Python that is packed: ./invoke release --force bundle"),
    "source": ("warning", "ship byte code: the app must not need to compile, it can't write beside itself"),
    "host-path": ("error", "find what keeps the path of where it was built, and have it not do so"),
    "link-broken": ("error", "pack what it leads to, or leave the link out"),
    "link-escapes": ("error", "pack the file itself: a link must not lead out of the bundle"),
    "unsealed": ("error", "move it to Contents/Resources: code signing takes it for code there"),
    "non-ascii": ("error", "rename it: file systems differ in how they write such names"),
    "objects": ("error", "leave out what only linkers read"),
    "empty-folder": ("warning", "leave it out: no archive or signature keeps it"),
    "plist": ("error", "build the bundle again: ./invoke release --force embed"),
    "zip": ("error", "keep native code outside archives: it can be neither loaded nor signed there"),
}
ELF = b"\x7fELF"
MACHO = (thin.FAT_MAGIC, *thin.THIN_MAGICS)
PATH_BYTES = frozenset(bytes([byte]) for byte in b"/.-_@~") | {
    bytes([b]) for b in range(128) if chr(b).isalnum()
}
MAIN_PLIST = "Contents/Info.plist"
CODE_FOLDERS = ("MacOS", "Helpers", "Frameworks", "PlugIns", "XPCServices")
BUNDLES = (".framework", ".app", ".xpc", ".bundle", ".plugin", ".appex")
# Folders of builders, looked for in Info.plist, where nothing else has a reason to name any.
BUILDERS = re.compile(r"(?:^|[\s:'\"=(])/(?:root|tmp|work|build|opt|var|private|home|Users|Volumes)/")
MOST_SHOWN = 20
REQUIRED_KEYS = (
    "CFBundleExecutable", "CFBundleIconFile", "CFBundleIdentifier", "CFBundleShortVersionString",
    "CFBundleVersion", "LSMinimumSystemVersion", "NSHumanReadableCopyright", "PyRuntimeLocations",
    "SUFeedURL", "SUPublicEDKey",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `path` relative to the app, `what` in words."""

    id: str
    path: str
    what: str
    severity: Severity = field(init=False)  # an error stops the release
    cure: str = field(init=False)

    def __post_init__(self) -> None:
        severity, cure = CHECKS[self.id]
        object.__setattr__(self, "severity", severity)
        object.__setattr__(self, "cure", cure)

    def __str__(self) -> str:
        return f"{self.id}: {self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class _Scope:
    """What every file is held against."""

    root: Path
    arches: tuple[str, ...]
    minimum: tuple[int, int]
    python: str
    private: tuple[bytes, ...]  # folders of this machine, with a slash at the end
    home: bytes  # the builder's home; not looked for in vendors' programs, which may name one like it


def audit(app: Path, *, arch: str, python: str, host_paths: Iterable[Path] = ()) -> list[Finding]:
    """Look over the app at `app`; nothing found is an empty list. Reads every file once.

    `python` is the minor version packed. `host_paths` are further folders of this machine whose names must
    not occur in the app; the one it stands in and the home folder are always among them.
    """
    root = app.resolve()
    private = {form for path in (root.parent, *host_paths) for form in (path, path.resolve())}
    forms = tuple(sorted(f"{path}/".encode() for path in private if len(path.parts) > 2))
    scope = _Scope(root, SLICES[arch], _minimum(root), python, forms, f"{Path.home()}/".encode())
    found = [*_plist(root, python), *_names_and_links(root)]
    for path in thin.files(root):
        found += _file(path, scope)
    return sorted(set(found), key=lambda one: (one.severity, one.id, one.path, one.what))


def require_clean(findings: Iterable[Finding]) -> None:
    """Raise Fault if any of the findings is an error: LINK, PLIST, or AUDIT if there are others."""
    errors = [one for one in findings if one.severity == "error"]
    if not errors:
        return
    first = errors[0]
    raise Fault(
        f"The bundle is not fit to ship, {len(errors)} found wrong",
        where=first.path,
        cure=first.cure,
        status=_status({one.id.split("-")[0] for one in errors}),
        details=tuple(str(one) for one in errors[:MOST_SHOWN]),
    )


def _status(kinds: set[str]) -> Exit:
    if kinds == {"link"}:
        return Exit.LINK
    return Exit.PLIST if kinds == {"plist"} else Exit.AUDIT


# -- the tree --------------------------------------------------------------------------------------------


def _names_and_links(root: Path) -> Iterator[Finding]:
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).as_posix()
        if not path.name.isascii():
            yield Finding("non-ascii", inside, f"its name is {path.name!a}")
        if path.is_symlink():
            yield from _link(path, inside, root)
        elif path.is_dir() and not any(path.iterdir()):
            yield Finding("empty-folder", inside, "there is nothing in it")
        elif path.is_file():
            yield from _place(path, inside)


def _link(path: Path, inside: str, root: Path) -> Iterator[Finding]:
    target = path.readlink()
    end = (path.parent / target).resolve()
    if target.is_absolute() or not end.is_relative_to(root):
        yield Finding("link-escapes", inside, f"it leads to {target}")
    elif not end.exists():
        yield Finding("link-broken", inside, f"it leads to {target}, which is not there")


def _place(path: Path, inside: str) -> Iterator[Finding]:
    if path.suffix in (".a", ".o"):
        yield Finding("objects", inside, "it is an object file or an archive of them")
    parts = inside.split("/")
    code = len(parts) > 2 and parts[0] == "Contents" and parts[1] in CODE_FOLDERS
    if code and not any(part.endswith(BUNDLES) for part in parts[2:-1]) and not thin.slices_of(path):
        yield Finding("unsealed", inside, f"it is no Mach-O, and Contents/{parts[1]} is for code")


# -- Info.plist ------------------------------------------------------------------------------------------


def _plist(root: Path, python: str) -> Iterator[Finding]:
    where = MAIN_PLIST
    try:
        values = plist.read(root / where)
    except plist.PlistFault as fault:
        yield Finding("plist", where, f"it can't be read: {'; '.join(fault.details) or fault.what}")
        return
    for key in REQUIRED_KEYS:
        if not values.get(key):
            yield Finding("plist", where, f"it has no {key}")
    yield from (Finding("plist", where, what) for what in _contradictions(root, values, python))
    for key, text in _texts(values):
        if BUILDERS.search(text):
            yield Finding("host-path", where, f"{key} is {text}")


def _contradictions(root: Path, values: dict[str, object], python: str) -> Iterator[str]:
    for key, folder in (("CFBundleExecutable", "MacOS"), ("CFBundleIconFile", "Resources")):
        if key in values and not (root / "Contents" / folder / str(values[key])).is_file():
            yield f"{key} is {values[key]}, which is not in Contents/{folder}"
    locations = values.get("PyRuntimeLocations")
    for location in locations if isinstance(locations, list) else []:
        place = str(location).replace("@executable_path", str(root / "Contents/MacOS"))
        if not Path(place).is_file() or not Path(place).resolve().is_relative_to(root):
            yield f"PyRuntimeLocations has {location}, which is not in the app"
    about = values.get("PythonInfoDict")
    if isinstance(about, dict) and about.get("PythonShortVersion", python) != python:
        yield f"PythonShortVersion is {about['PythonShortVersion']} and not {python}"
    if values.get("SURequireSignedFeed") and not values.get("SUVerifyUpdateBeforeExtraction"):
        yield "SURequireSignedFeed needs SUVerifyUpdateBeforeExtraction"


def _texts(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _texts(value, f"{prefix}{key}.")
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                yield f"{prefix}{key}", text


def _minimum(root: Path) -> tuple[int, int]:
    try:
        text = str(plist.read(root / MAIN_PLIST).get("LSMinimumSystemVersion", ""))
        major, minor, *_ = (*map(int, text.split(".")), 0)
    except (ValueError, plist.PlistFault):
        return (999, 0)  # said elsewhere
    return (major, minor)


# -- one file --------------------------------------------------------------------------------------------


def _file(path: Path, scope: _Scope) -> Iterator[Finding]:
    inside = path.relative_to(scope.root).as_posix()
    data = path.read_bytes()
    if data[:4] == ELF:
        yield Finding("elf", inside, "it is a program or library for Linux")
    elif data[:4] in MACHO:
        yield from _macho(path, inside, scope)
        yield from _leaks(inside, data, scope.private)
    elif path.suffix == ".zip":
        yield from _archive(path, inside, scope)
    else:
        yield from _content(inside, data, scope)


def _macho(path: Path, inside: str, scope: _Scope) -> Iterator[Finding]:
    try:
        images = machos.images(path)
    except (ValueError, OSError) as error:
        yield Finding("damaged", inside, f"it can't be read as a Mach-O: {error}")
        return
    present = {image.arch for image in images}
    if present != set(scope.arches):
        has, wanted = (", ".join(sorted(arches)) for arches in (present, scope.arches))
        yield Finding("arch", inside, f"it has {has} and not {wanted}")
    for image in images:
        if image.minimum > scope.minimum:
            needs, says = (".".join(map(str, version)) for version in (image.minimum, scope.minimum))
            yield Finding("minimum", inside, f"it needs macOS {needs}; LSMinimumSystemVersion is {says}")
        for reference in image.loads:
            if not _resolves(reference, image, path, scope.root):
                yield Finding("library", inside, f"it loads {reference}, which is not in the app")


def _resolves(reference: str, image: machos.Image, path: Path, root: Path) -> bool:
    if machos.is_system(reference):
        return True
    places = machos.candidates(reference, image, path, _executables(path, root))
    return any(place.is_file() and place.resolve().is_relative_to(root) for place in places)


def _executables(path: Path, root: Path) -> Path:
    """Give the folder @executable_path means for `path`: that of the nearest app or service around it."""
    around = (folder for folder in path.parents if folder.suffix in (".app", ".xpc") or folder == root)
    return next(around, root) / "Contents/MacOS"


def _archive(path: Path, inside: str, scope: _Scope) -> Iterator[Finding]:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                data = archive.read(name)
                if data[:4] == ELF or data[:4] in MACHO:
                    yield Finding("zip", f"{inside}/{name}", "it is native code")
                yield from _content(f"{inside}/{name}", data, scope)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        yield Finding("zip", inside, f"it can't be read: {error}")


def _content(inside: str, data: bytes, scope: _Scope) -> Iterator[Finding]:
    suffix = inside[inside.rfind(".") :]
    if suffix == ".pyc":
        yield from _byte_code(inside, data, scope.python)
    elif inside.endswith("/Info.plist"):
        yield from _nested_plist(inside, data)
    elif suffix == ".py" and "/lib/" in inside:
        yield Finding("source", inside, "it is source")
    yield from _leaks(inside, data, (*scope.private, scope.home))


def _nested_plist(inside: str, data: bytes) -> Iterator[Finding]:
    """Read the plists of frameworks and services too: code signing does."""
    try:
        plistlib.loads(data)
    except (ValueError, ExpatError, plistlib.InvalidFileException) as error:
        if inside != MAIN_PLIST:
            yield Finding("plist", inside, f"it can't be read: {error}")


def _byte_code(inside: str, data: bytes, python: str) -> Iterator[Finding]:
    if python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return  # what the target's magic number is can't be known here
    if data[:4] != importlib.util.MAGIC_NUMBER:
        yield Finding("magic", inside, f"it is not byte code of Python {python}")
        return
    try:
        code = marshal.loads(data[16:])  # noqa: S302 - marshal runs nothing, and damage is caught
    except (ValueError, EOFError, TypeError) as error:
        yield Finding("magic", inside, f"it is damaged: {error}")
        return
    if isinstance(code, CodeType) and code.co_filename.startswith("/"):
        yield Finding("host-path", inside, f"its tracebacks name {code.co_filename}")


def _leaks(inside: str, data: bytes, private: tuple[bytes, ...]) -> Iterator[Finding]:
    """Find folders of this machine. One in the middle of another path is none of them."""
    for form in private:
        at = data.find(form)
        while at >= 0:
            if inside.endswith(".pyc") or data[at - 1 : at] not in PATH_BYTES:
                yield Finding("host-path", inside, f"it names {form.decode('utf-8', 'replace')}")
                break
            at = data.find(form, at + 1)
