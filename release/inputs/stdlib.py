"""The pure Python part of the standard library, from an interpreter of this machine.

No package registry offers it alone and whole, so a rehearsal takes it from a CPython of the same minor
version (its byte code and its modules' needs are the same; the patch level may differ), and records a digest
of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.unpack import walk

# Tests, development tools and Tk are not shipped; the rest is particular to the host's build or distribution.
SKIPPED: Final = frozenset(
    {
        *(
            "test",
            "tests",
            "idle_test",
            "idlelib",
            "turtledemo",
            "tkinter",
            "turtle.py",
            "lib2to3",
            "ensurepip",
        ),
        *("site-packages", "dist-packages", "lib-dynload", "__pycache__", "__phello__"),
        *("sitecustomize.py", "usercustomize.py", "EXTERNALLY-MANAGED", "LICENSE.txt"),
        "_distutils_system_mod.py",
    }
)
SKIPPED_STARTS: Final = ("config-", "_sysconfigdata")
SKIPPED_ENDS: Final = (".pyc", ".pyo", ".so", ".a", ".o", ".exe", ".dylib")

MACHOLIB: Final = "ctypes/macholib"

ASK: Final = (
    "import json, platform, sysconfig; "
    "print(json.dumps([sysconfig.get_path('stdlib'), platform.python_version(), "
    "platform.python_implementation()]))"
)


@dataclass(frozen=True, slots=True)
class Stdlib:
    """A standard library on this machine: folder, full version, and a digest of what is taken of it."""

    folder: Path
    version: str
    sha256: str


def host_stdlib(version: str, *, runner: Runner) -> Stdlib:
    """Find the standard library of a minor version such as "3.11"; raises Fault TOOL if there is none."""
    folder, full = _locate(version, runner)
    total = digest(folder)
    if not (folder / MACHOLIB).is_dir():
        total = hashlib.sha256(f"{total} macholib {metadata.version('macholib')}".encode()).hexdigest()
    return Stdlib(folder, full, total)


def _locate(version: str, runner: Runner) -> tuple[Path, str]:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sysconfig.get_path("stdlib")), ".".join(map(str, sys.version_info[:3]))
    program = shutil.which(f"python{version}")
    result = runner.run([program, "-c", ASK], check=False) if program else None
    if result is not None and result.status == 0:
        folder, full, implementation = json.loads(result.stdout)
        if implementation == "CPython" and full.startswith(f"{version}."):
            return Path(folder), full
    raise Fault(
        f"CPython {version} is needed on this machine, for its standard library",
        cure=f"install it, or set PYTHON to it and run ./invoke again: PYTHON=python{version} ./invoke …",
        status=Exit.TOOL,
    )


def wanted(name: str) -> bool:
    """Whether a file or folder of the standard library is taken, by its name alone."""
    return not (name in SKIPPED or name.startswith(SKIPPED_STARTS) or name.endswith(SKIPPED_ENDS))


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that is taken, with its path relative to `folder`, sorted; links to files are followed."""
    for entry in walk(folder, wanted):
        if entry.is_file():
            yield Path(entry.path).relative_to(folder).as_posix(), Path(entry.path)


def digest(folder: Path) -> str:
    """Sum up names and contents of what is taken; hex SHA-256."""
    total = hashlib.sha256()
    for name, path in files(folder):
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def copy(folder: Path, target: Path) -> None:
    """Copy what is taken into `target`, and add what a Linux distribution left out of its own Python."""
    for name, path in files(folder):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    if not (folder / MACHOLIB).is_dir():
        _add_macholib(target / MACHOLIB)


def _add_macholib(target: Path) -> None:
    # ctypes.util needs ctypes.macholib on a Mac; Debian's packages leave it out. It is a copy of parts of the
    # macholib package, which is installed here because py2app needs it.
    found = importlib.util.find_spec("macholib")
    if found is None or not found.submodule_search_locations:
        raise Fault("the macholib package is needed and not installed", cure="run ./invoke", status=Exit.TOOL)
    target.mkdir(parents=True)
    (target / "__init__.py").touch()
    for name in ("dyld.py", "dylib.py", "framework.py"):
        text = (Path(found.submodule_search_locations[0]) / name).read_text()
        (target / name).write_text(text.replace("from macholib.", "from ctypes.macholib."))
