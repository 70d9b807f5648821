"""The one table of py2app options: the native and the portable build both read it.

Everything here decides what is packed, so its digest belongs to what a runtime depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

# Imported by name at run time, so no import statement shows them. uvicorn chooses its event loop, its HTTP
# parser and its lifespan from strings; anyio its backend; certifi is the trust store the app hands around.
DYNAMIC_IMPORTS: tuple[str, ...] = (
    "anyio._backends._asyncio",
    "certifi",
    "httptools",
    "uvicorn.lifespan.off",
    "uvicorn.lifespan.on",
    "uvicorn.logging",
    "uvicorn.loops.asyncio",
    "uvicorn.loops.auto",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)

# The native modules the server must be seen to use: uvicorn goes on without them, slower and silently.
FAST_PATHS: tuple[str, ...] = ("httptools.parser.parser", "uvloop.loop")

# Copied as files and not into the archive: certifi hands out the path of its list of roots.
PACKAGES: tuple[str, ...] = ("certifi",)

# Kept in the archive although they read __file__, which py2app takes for a sign that they look for files
# beside themselves: ruamel looks there for plug-ins, of which it has none. (It is a namespace, and of those
# py2app can't copy any.)
ARCHIVED: frozenset[str] = frozenset({"ruamel"})

# Reached only from development tools or from branches the app never takes. appcast and signing are this
# repository's own: from source the app looks for updates with them, packaged it has Sparkle.
EXCLUDES: tuple[str, ...] = (
    "IPython",
    "_pyrepl",
    "antigravity",
    "appcast",
    "curses",
    "distutils",
    "doctest",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pdb",
    "pip",
    "pkg_resources",
    "pydoc",
    "pydoc_data",
    "setuptools",
    "signing",
    "test",
    "tkinter",
    "trio",
    "turtle",
    "turtledemo",
    "unittest",
    "venv",
    "watchfiles",
    "xmlrpc",
)

# py2app's recipes that must not run, each for a reason:
#   sslmod          sets SSL_CERT_FILE to a file that isn't in the bundle; a child such as Bun inherits it
#   multiprocessing imports multiprocessing at every start, to mend what the app doesn't use
#   ctypes          imports ctypes at every start, to find libraries by name, of which the app has none
#   tkinter, black  ask the building interpreter's own C modules, not the target's
DROPPED_RECIPES: tuple[str, ...] = ("black", "ctypes", "multiprocessing", "sslmod", "tkinter")

# Files that are of use to a compiler or a type checker only.
USELESS_SUFFIXES: tuple[str, ...] = (
    ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".cc", ".cpp", ".hpp", ".a", ".o", ".in", ".tmpl", ".hash",
)  # fmt: skip
USELESS_NAMES: frozenset[str] = frozenset({"py.typed", "Makefile", ".gitignore"})
# Of a package's metadata only what is read at run time, and its licence. The rest tells how and from where it
# was installed, which is the builder's own affair.
USELESS_METADATA: frozenset[str] = frozenset(
    {
        "INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json", "pyobjc-build-info.txt",
        "scm_file_list.json", "scm_version.json", "uv_build.json", "uv_cache.json",
    }
)  # fmt: skip

# The archive of byte code is left uncompressed: the disk image compresses better over the whole, and the app
# starts without inflating a thousand modules.
COMPRESS_ARCHIVE = False


def py2app_options(name: str) -> dict[str, object]:
    """Give the options of the py2app command for an app called `name`.

    The bundle's own Info.plist is written later, by `embed`: nothing in it may decide what is packed here.
    """
    return {
        "arch": "universal2",  # thinned afterwards: py2app copies what it is given either way
        "argv_emulation": False,
        "emulate_shell_environment": False,
        "excludes": list(EXCLUDES),
        "includes": list(DYNAMIC_IMPORTS),
        "no_chdir": True,  # the folder the app was started from stays what it was
        "optimize": 0,  # asserts and docstrings are part of some libraries' behaviour
        "packages": list(PACKAGES),
        "plist": {"CFBundleName": name, "CFBundleExecutable": name},
        "semi_standalone": False,
        "site_packages": False,
        "strip": False,  # `strip` breaks signatures, and the vendors' files come stripped
    }


def table() -> Mapping[str, object]:
    """Give everything in this file that decides what is packed, as plain values, for a digest."""
    return {
        "options": py2app_options(""),
        "archived": sorted(ARCHIVED),
        "dropped_recipes": DROPPED_RECIPES,
        "useless": (USELESS_SUFFIXES, sorted(USELESS_NAMES), sorted(USELESS_METADATA)),
        "compress": COMPRESS_ARCHIVE,
    }


def useful(path: PurePath) -> bool:
    """Whether a file that belongs to a package is of use at run time."""
    if path.suffix in USELESS_SUFFIXES or path.name in USELESS_NAMES:
        return False
    if "tests" in path.parts[1:-1]:  # a package's own, some ship them
        return False
    if any(part.endswith(".dSYM") for part in path.parts):  # what debuggers read, and code to the audit
        return False
    metadata = any(part.endswith(".dist-info") for part in path.parts[:-1])
    return not (metadata and (path.name in USELESS_METADATA or "sboms" in path.parts))
