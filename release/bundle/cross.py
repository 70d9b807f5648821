"""Run py2app for macOS on another system: `python -m release.bundle.cross JOB.json`.

py2app itself only copies files, reads imports and edits load commands; what ties it to a Mac is that it asks
the running interpreter what the target looks like. Here these questions are answered from a macOS Python
prefix instead. The running interpreter must have the target's minor version: byte code is made with it.
"""

from __future__ import annotations

import importlib.machinery
import os
import pkgutil
import re
import runpy
import ssl
import sys
import sysconfig
import zlib
from functools import cached_property
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import modulegraph.find_modules
import py2app
import py2app.apptemplate.plist_template
import py2app.build_app

from release.bundle import child
from release.bundle.compile import require_python
from release.bundle.job import Job

# Compiled into every interpreter, but not set up by a function called PyInit_<name>.
ALWAYS_BUILT_IN = frozenset({"builtins", "marshal", "sys", "_warnings"})


class Target:
    """A macOS Python prefix, …/Python.framework/Versions/3.11, and what py2app asks about it."""

    def __init__(self, prefix: Path, version: str, site_packages: Path) -> None:
        self.prefix = prefix
        self.version = version
        self.library = prefix / "lib" / f"python{version}"
        self.dynload = self.library / "lib-dynload"
        self.site_packages = site_packages
        data = next(self.library.glob("_sysconfigdata*.py"))
        self.sysconfig_name = data.stem
        self.config: dict[str, Any] = runpy.run_path(str(data))["build_time_vars"]

    @property
    def suffixes(self) -> list[str]:
        """What the names of extension modules end with."""
        return [str(self.config["EXT_SUFFIX"]), ".abi3.so", ".so"]

    @cached_property
    def built_in(self) -> frozenset[str]:
        """Modules inside the interpreter's own library: their set-up functions' names are in its symbols."""
        symbols = re.findall(rb"\0_PyInit_([A-Za-z0-9_]+)(?=\0)", (self.prefix / "Python").read_bytes())
        loaded = {path.name.split(".")[0] for path in self.dynload.iterdir()}
        return frozenset({name.decode() for name in symbols} - loaded) | ALWAYS_BUILT_IN


def find_extensions_by_target_suffix(target: Target) -> None:
    """Look for `.cpython-311-darwin.so`, which this system's import machinery would pass over."""
    importlib.machinery.EXTENSION_SUFFIXES[:] = target.suffixes
    modulegraph.find_modules.C_SUFFIXES[:] = target.suffixes
    hook = FileFinder.path_hook(
        (ExtensionFileLoader, target.suffixes),
        (SourceFileLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    cache: dict[str, Any] = {}
    usual = pkgutil.get_importer

    def get_importer(entry: Any) -> Any:
        path = os.path.realpath(os.fsdecode(entry))
        if not os.path.isdir(path):  # noqa: PTH112 - called ten thousand times
            return usual(entry)
        if path not in cache:
            cache[path] = hook(path)
        return cache[path]

    pkgutil.get_importer = get_importer  # type: ignore[assignment]


def answer_from_target_configuration(target: Target) -> None:
    """Answer py2app's questions about the build of Python, which it asks of the running one."""

    def get_config_var(*names: str) -> Any:
        values = [target.config.get(name) for name in names]
        return values[0] if len(values) == 1 else values

    build = py2app.build_app
    build.get_config_var = get_config_var
    build.PYTHONFRAMEWORK = "Python"
    build.get_platform = lambda: "macosx-11.0-universal2"
    build.get_config_h_filename = lambda: str(
        target.prefix / "include" / f"python{target.version}" / "pyconfig.h"
    )
    # With a base prefix other than sys.prefix py2app takes the interpreter stub and library from there.
    build.sys_base_prefix = str(target.prefix)
    sysconfig._get_sysconfigdata_name = lambda *_: target.sysconfig_name  # type: ignore[attr-defined]


def find_frameworks_in_prefix(target: Target) -> None:
    """Let macholib, which follows dyld's search rules, find Python.framework in the prefix."""
    os.environ["DYLD_FRAMEWORK_PATH"] = str(target.prefix.parents[2])


def skip_the_makefile() -> None:
    """Say that sysconfig's data is a module, so that py2app doesn't look for a Makefile to copy."""
    sys.modules.setdefault("_sysconfigdata", sys.modules[__name__])


def take_zlib_from_target(target: Target) -> None:
    """Copy the target's zlib beside the archive that needs it; py2app copies the running one."""
    zlib.__file__ = str(next(target.dynload.glob("zlib.*")))


def forget_this_hosts_certificates() -> None:
    """Keep the paths of this system's trust store out of the bundle."""
    nothing: Any = SimpleNamespace(cafile=None, capath=None, openssl_cafile_env="", openssl_capath_env="")
    ssl.get_default_verify_paths = lambda: nothing


def describe_the_target_in_the_plist(target: Target) -> None:
    """Keep this interpreter's path and version out of Info.plist."""
    py2app.apptemplate.plist_template.sys = SimpleNamespace(version=target.version, executable="")


def search(target: Target, extra: list[str], bootstrap: Path) -> list[str]:
    """Give the folders modules are looked for in: the target's, and py2app's own start-up scripts."""
    return [*extra, str(target.library), str(target.dynload), str(target.site_packages), str(bootstrap)]


class CrossBuild(child.Build):
    """py2app's command; while it reads imports, the interpreter looks like the target's."""

    target: Target

    @classmethod
    def built_in(cls) -> frozenset[str]:
        """Name the modules that are compiled into the target's interpreter."""
        return cls.target.built_in

    def _run(self) -> None:
        bootstrap = Path(self.job.work, "bootstrap")  # of this system's site-packages, py2app alone
        bootstrap.mkdir(exist_ok=True)
        (bootstrap / "py2app").symlink_to(Path(py2app.__file__).parent)
        before = (sys.path, sys.builtin_module_names, sys.platform)
        sys.path = search(self.target, list(self.additional_paths), bootstrap)
        sys.builtin_module_names = tuple(sorted(self.target.built_in))
        sys.platform = "darwin"
        try:
            super()._run()
        finally:
            sys.path, sys.builtin_module_names, sys.platform = before


def prepare(job: Job) -> None:
    """Make every replacement; before anything is searched for."""
    require_python(job.python)
    target = Target(Path(job.prefix), job.python, Path(job.site_packages))
    CrossBuild.target = target
    find_extensions_by_target_suffix(target)
    answer_from_target_configuration(target)
    find_frameworks_in_prefix(target)
    skip_the_makefile()
    take_zlib_from_target(target)
    forget_this_hosts_certificates()
    describe_the_target_in_the_plist(target)
    child.name_code_by_module([str(target.library), str(target.site_packages), job.work])


if __name__ == "__main__":
    child.run(Path(sys.argv[1]), CrossBuild, prepare)
