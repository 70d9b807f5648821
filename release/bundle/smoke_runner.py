"""Run a bundle's own byte code where its native code can't run: `python -I -S smoke_runner.py APP …`.

A script of its own: it imports nothing of this project, and of the standard library only what the
interpreter has frozen in. All Python comes from the bundle, through its own `__boot__.py`, archive and
folders; a native module is found where the bundle has it, and then the build for this system is loaded in
its place, from OVERLAY (a site-packages folder) or this interpreter's own. At the end REPORT says where every
module came from, and the exit status is 3 if one that isn't native came from elsewhere.

With --import-all nothing is started: every module of the app is imported, but for those of the Mac's shell,
and then those named.

usage: python -I -S smoke_runner.py APP OVERLAY REPORT [--import-all [MODULE …] | the app's arguments …]
"""

import _imp
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType
from zipimport import zipimporter

OUTSIDE_STATUS = 3
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

app, overlay, report_path = (os.path.realpath(argument) for argument in sys.argv[1:4])
resources = f"{app}/Contents/Resources"
library = f"{resources}/lib/python{VERSION}"
host_folders = [overlay, *(entry for entry in sys.path if entry.endswith("lib-dynload"))]
here = os.path.realpath(__file__)  # taken now: the app's scripts get this module's scope
swapped: dict[str, str] = {}
lacking: list[str] = []
failed: dict[str, str] = {}
load = _imp.create_dynamic


def host_build(name: str) -> str | None:
    """Find this system's build of the native module `name`."""
    inside = name.replace(".", "/")
    places = (f"{folder}/{inside}{suffix}" for folder in host_folders for suffix in EXTENSION_SUFFIXES)
    return next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110


def create_dynamic(spec: ModuleSpec, *rest: object) -> ModuleType:
    """Load this system's build in place of the bundle's file that `spec` found."""
    place = host_build(spec.name)
    if place is None:
        lacking.append(spec.name)
        raise ImportError(f"{spec.name} has no build for this system", name=spec.name)
    swapped[spec.name] = place
    return load(ModuleSpec(spec.name, spec.loader, origin=place), *rest)


def find_in_bundle_only() -> None:
    """Look for modules as the bundle's interpreter would, its native suffixes among them."""
    suffixes = [f".cpython-{VERSION.replace('.', '')}-darwin.so", ".abi3.so", ".so"]
    finder = FileFinder.path_hook(
        (ExtensionFileLoader, suffixes),
        (SourceFileLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    sys.path_hooks[:] = [zipimporter, finder]
    sys.path_importer_cache.clear()
    archive = f"{resources}/lib/python{VERSION.replace('.', '')}.zip"
    sys.path[:] = [resources, archive, library, f"{library}/lib-dynload"]
    _imp.create_dynamic = create_dynamic


def forget_host_modules() -> None:
    """Forget what this interpreter loaded from its own files while it started; the bundle has them too."""
    loaded = {name for name, module in sys.modules.items() if origin(module).endswith((".py", ".pyc"))}
    for name in list(sys.modules):  # a package's modules go with it, or the new one would lack them
        if name != "__main__" and loaded & {name, name.split(".")[0]}:
            del sys.modules[name]
    import encodings  # noqa: F401 - looked up by the interpreter at any time


def origin(module: ModuleType) -> str:
    """Say where a module was loaded from; "" if from the interpreter itself."""
    spec = getattr(module, "__spec__", None)
    found = getattr(spec, "origin", None) or getattr(module, "__file__", None) or ""
    return "" if found in ("built-in", "frozen") else found


def outside() -> dict[str, str]:
    """Give the modules that came neither from the bundle nor from a swap."""
    return {
        name: found
        for name, module in sorted(sys.modules.items())
        if (found := origin(module))
        and not found.startswith(app + "/")
        and found != here
        and name not in swapped
    }


def report() -> None:
    """Write the report; end with status 3 if something came from outside."""
    import json

    strangers = outside()
    own = sorted(name for name, module in sys.modules.items() if origin(module).startswith(app + "/"))
    with open(report_path, "w", encoding="utf-8") as file:  # noqa: PTH123
        found = {"own": own, "swapped": swapped, "lacking": lacking, "outside": strangers, "failed": failed}
        json.dump(found, file)
    if strangers:
        sys.stderr.write(f"from outside the bundle: {', '.join(strangers)}\n")
        sys.stderr.flush()
        os._exit(OUTSIDE_STATUS)


def boot() -> None:
    """Start the app as the launcher in Contents/MacOS does."""
    program = f"{app}/Contents/MacOS/python"
    os.environ.update(RESOURCEPATH=resources, ARGVZERO=program, EXECUTABLEPATH=program)
    path = f"{resources}/__boot__.py"
    sys.argv[:] = [path, *sys.argv[4:]]
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        code = compile(file.read(), path, "exec")
    scope = sys.modules["__main__"].__dict__
    scope["__file__"] = path
    exec(code, scope)  # noqa: S102


def import_all(others: list[str]) -> None:
    """Import every module of the app that needs no Mac, and the others; take down which cannot be."""
    import importlib

    os.environ["RESOURCEPATH"] = resources
    for name in [*app_modules(), *others]:
        try:
            importlib.import_module(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"


def app_modules() -> list[str]:
    """Name the app's modules that need no Mac."""
    found = []
    for folder, folders, files in os.walk(f"{library}/app"):
        folders[:] = sorted(name for name in folders if name != "macos")
        package = folder[len(library) + 1 :].replace("/", ".")
        modules = (name[:-4] for name in sorted(files) if name.endswith(".pyc") and name != "__main__.pyc")
        found += [f"{package}.{module}".removesuffix(".__init__") for module in modules]
    return found


find_in_bundle_only()
forget_host_modules()
import atexit  # noqa: E402

atexit.register(report)
import_all(sys.argv[5:]) if sys.argv[4:5] == ["--import-all"] else boot()
