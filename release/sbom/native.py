"""The other parts: CPython and the C libraries in it, Bun, Sparkle, py2app's launcher.

Versions are read from the files in the app wherever they carry one.
"""

from __future__ import annotations

import mmap
import os
import plistlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Final

from release.inputs.bun import pin_name
from release.inputs.prefix import libpython_version
from release.sbom.part import Part, PartsFault, generic, github, npm, pypi

PYTHON: Final = "Python"
BUN: Final = "Bun"
SPARKLE: Final = "Sparkle"
STUB: Final = "py2app"
RUNTIMES: Final = (PYTHON, BUN, SPARKLE, STUB)
BUN_PLACE: Final = "Contents/Helpers/bun"
SPARKLE_PLACE: Final = "Contents/Frameworks/Sparkle.framework"
_BUN_VERSION: Final = re.compile(rb"\0Bun/(\d+\.\d+\.\d+)\0")


@dataclass(frozen=True, slots=True)
class Library:
    """A C library within CPython: its file, how its version looks there, vendor:product of its CPE."""

    name: str
    pattern: str
    version: re.Pattern[bytes]
    licence: str
    cpe: str = ""


LIBRARIES: Final = (
    Library(
        "OpenSSL", "libcrypto*.dylib", re.compile(rb"OpenSSL (\d+\.\d+\.\d+[a-z]?) +\d+ \w{3} \d{4}"),
        "Apache-2.0", "openssl:openssl",
    ),
    Library(
        "Expat", "pyexpat*.so", re.compile(rb"\0expat_(\d+\.\d+\.\d+)\0"),
        "MIT", "libexpat_project:libexpat",
    ),
    Library("mpdecimal", "_decimal*.so", re.compile(rb"\0(\d+\.\d+\.\d+)\0"), "BSD-2-Clause"),
    Library("XZ", "_lzma*.so", re.compile(rb"\0(5\.\d+\.\d+)\0"), "0BSD", "tukaani:xz"),
    Library("SQLite", "_sqlite3*.so", re.compile(rb"\0(3\.\d+\.\d+)\0"), "blessing", "sqlite:sqlite"),
)  # fmt: skip


def parts(app: Path, note: Mapping[str, Any], *, arch: str) -> tuple[Part, ...]:
    """Return them; `note` is what the inputs step wrote: `python` (PythonFacts) and the `pins` used."""
    pins = note["pins"]
    libraries = tuple(_libraries(app))
    return (
        _python(app, pins, note["python"], tuple(each.purl for each in libraries)),
        *libraries,
        _bun(app, pins, arch),
        _sparkle(app, pins),
        _stub(app),
    )


def versions(app: Path) -> Iterator[tuple[str, str]]:
    """Yield names and versions of those that carry their version themselves, as found in an app."""
    framework = next(iter(app.glob("Contents/Frameworks/Python.framework/Versions/[0-9]*/Python")), None)
    if framework is not None:
        yield PYTHON, libpython_version(framework, framework.parent.name)
    yield from ((part.name, part.version) for part in _libraries(app))
    if (app / BUN_PLACE).is_file():
        yield BUN, _found(_BUN_VERSION, app / BUN_PLACE)
    if (app / SPARKLE_PLACE).is_dir():
        yield SPARKLE, _sparkle_version(app)


def _python(app: Path, pins: Mapping[str, Any], facts: Mapping[str, str], libraries: tuple[str, ...]) -> Part:
    version = facts["libpython"]
    pin = next(pin for name, pin in pins.items() if name.startswith("python-"))
    minor = ".".join(version.split(".")[:2])
    note = f"standard library of {facts['stdlib']}, sha256 {facts['stdlib_sha256']}"
    return Part(
        name=PYTHON,
        version=version,
        purl=generic("python", version),
        licence="PSF-2.0",
        places=(f"Contents/Frameworks/Python.framework/Versions/{minor}/Python",),
        kind="platform",
        digests=(pin["digest"],),
        origin=origin(pin),
        needs=libraries,
        cpe=_cpe("python:python", version),
        note=note,
    )


def _libraries(app: Path) -> Iterator[Part]:
    walk = os.walk(app / "Contents")
    files = sorted(Path(parent) / name for parent, _, names in walk for name in names)
    for library in LIBRARIES:
        for path in (each for each in files if each.match(library.pattern)):
            if version := _search(library.version, path):
                yield Part(
                    name=library.name,
                    version=version,
                    purl=generic(library.name.lower(), version),
                    licence=library.licence,
                    places=(path.relative_to(app).as_posix(),),
                    cpe=_cpe(library.cpe, version) if library.cpe else None,
                )
                break


def _bun(app: Path, pins: Mapping[str, Any], arch: str) -> Part:
    version = _found(_BUN_VERSION, app / BUN_PLACE)
    used = [pins[pin_name("x86_64" if arch == "x86_64" else "arm64")]]
    used += [pins[pin_name("x86_64")]] if arch == "universal2" else []
    return Part(
        name=BUN,
        version=version,
        purl=github("oven-sh", "bun", f"bun-v{version}"),
        licence="MIT",
        places=(BUN_PLACE,),
        kind="platform",
        digests=tuple(pin["digest"] for pin in used),
        origin=origin(used[0]),
    )


def _sparkle(app: Path, pins: Mapping[str, Any]) -> Part:
    version = _sparkle_version(app)
    return Part(
        name=SPARKLE,
        version=version,
        purl=github("sparkle-project", "Sparkle", version),
        licence="MIT",
        places=(SPARKLE_PLACE,),
        kind="framework",
        digests=(pins["sparkle"]["digest"],),
        origin=origin(pins["sparkle"]),
    )


def _sparkle_version(app: Path) -> str:
    info = plistlib.loads((app / SPARKLE_PLACE / "Resources/Info.plist").read_bytes())
    return str(info.get("CFBundleShortVersionString", "unknown"))


def _stub(app: Path) -> Part:
    info = plistlib.loads((app / "Contents/Info.plist").read_bytes())
    version = package_version("py2app")
    program = f"Contents/MacOS/{info['CFBundleExecutable']}"
    return Part(
        name=STUB,
        version=version,
        purl=pypi("py2app", version),
        licence="MIT",
        places=(program, "Contents/Resources/__boot__.py"),
        note="launcher and start-up code",
    )


def origin(pin: Mapping[str, str]) -> str:
    """Return the purl of a pinned file; without an address, which is nobody's business but the pin's."""
    if pin["source"] == "pypi":
        return pypi(pin["package"], pin["version"])
    if pin["source"] == "npm":
        return npm(pin["package"], pin["version"])
    return generic(pin["name"], pin["version"])


def _found(pattern: re.Pattern[bytes], path: Path) -> str:
    found = _search(pattern, path)
    if found is None:
        raise PartsFault(f"{path.name} does not tell its version", where=path)
    return found


def _search(pattern: re.Pattern[bytes], path: Path) -> str | None:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return None  # an empty file cannot be mapped
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            match = pattern.search(data)
            return None if match is None else match[1].decode()


def _cpe(product: str, version: str) -> str:
    return f"cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*"
