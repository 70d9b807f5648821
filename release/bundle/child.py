"""py2app as both ways of running it use it: `native` as it stands, `cross` for another system.

Imported in the building process only. `Build` is py2app's own command; what it overrides makes the result
the same on every run and saves time, never changes what is found. Each replacement below says why.
"""

from __future__ import annotations

import ast
import dis
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import modulegraph.find_modules
import modulegraph.modulegraph
import py2app.build_app
import py2app.recipes
import py2app.recipes.detect_dunder_file
from modulegraph.modulegraph import ModuleGraph
from setuptools import setup

from release.bundle import compile as bytecode
from release.bundle import options
from release.bundle.job import Answer, Job

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP can say


class Build(py2app.build_app.py2app):  # type: ignore[misc]
    """py2app's command, with a definite order and definite bytes."""

    job: Job  # set on a subclass by `run`
    seconds: dict[str, float]
    graph: Any

    def collect_recipedict(self) -> dict[str, object]:
        """Leave out the recipes that options.DROPPED_RECIPES gives reasons against."""
        recipes: dict[str, object] = super().collect_recipedict()
        return {name: check for name, check in recipes.items() if name not in options.DROPPED_RECIPES}

    def get_modulefinder(self) -> Any:
        """Read the scripts in a fixed order; py2app keeps them in a set, whose order hangs on their paths."""
        started = time.perf_counter()
        graph = modulegraph.find_modules.find_modules(
            includes=self.includes, packages=self.packages, excludes=self.excludes
        )
        for script in (self.job.launcher, self.job.needs):
            graph.run_script(script)
        self.seconds["graph"] = time.perf_counter() - started
        type(self).graph = graph
        return graph

    @classmethod
    def built_in(cls) -> frozenset[str]:
        """Name the modules that are compiled into the interpreter."""
        return frozenset(sys.builtin_module_names)

    def collect_scripts(self) -> set[str]:
        """Give the scripts that are read for imports."""
        return {self.job.launcher, self.job.needs}

    def make_lib_archive(self, zip_filename: str, base_dir: str, verbose: int = 0, dry_run: int = 0) -> str:
        """Write the archive in a fixed order, with one time and mode, without what only compilers read."""
        kind = zipfile.ZIP_DEFLATED if options.COMPRESS_ARCHIVE else zipfile.ZIP_STORED
        base = Path(base_dir)
        for metadata in Path(self.job.site_packages).glob("*.dist-info"):
            shutil.copytree(metadata, base / metadata.name, dirs_exist_ok=True)
        with zipfile.ZipFile(zip_filename, "w", kind) as archive:
            for name in _members(base):
                data = b"" if name.endswith("/") else (base / name).read_bytes()
                entry = zipfile.ZipInfo(name, ZIP_TIME)
                entry.compress_type = zipfile.ZIP_STORED if name.endswith("/") else kind
                entry.create_system = 3
                entry.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
                archive.writestr(entry, data)
        return zip_filename

    def create_binaries(self, *parts: Any) -> None:
        """Do what py2app does, and note how long it took."""
        started = time.perf_counter()
        super().create_binaries(*parts)
        self.seconds["binaries"] = time.perf_counter() - started


def _members(base: Path) -> Iterator[str]:
    """Give folders that hold a file, with a slash, and files: zipimport finds a package by its folder."""
    for folder, folders, files in os.walk(base):
        folders.sort()
        kept = sorted(name for name in files if options.useful(Path(folder, name).relative_to(base)))
        inside = Path(folder).relative_to(base).as_posix()
        prefix = "" if inside == "." else inside + "/"
        if kept and prefix:
            yield prefix
        yield from (prefix + name for name in kept)


# -- replacements ----------------------------------------------------------------------------------------


def name_code_by_module(prefixes: Iterable[str]) -> None:
    """Compile each module once, under its own relative name: a traceback must not tell the builder's folders.

    modulegraph compiles with the full path; its global `compile` is looked up before the builtin one. It
    parses a module, compiles the tree as "-" to read names from the code, and compiles it again to keep it.
    """
    roots = tuple(sorted((prefix.rstrip("/") + "/" for prefix in prefixes), key=len, reverse=True))
    names: dict[int, str] = {}  # by the identity of a tree, which modulegraph holds until it is done with it
    codes: dict[int, Any] = {}
    really: Any = compile

    def compile_named(source: Any, filename: str, *rest: Any) -> Any:
        if isinstance(source, ast.AST):
            code = codes.pop(id(source), None) or really(source, names[id(source)], *rest)
            if filename == "-":
                codes[id(source)] = code
            return code
        short = next((filename[len(root) :] for root in roots if filename.startswith(root)), None)
        tree = really(source, short or Path(filename).name, *rest)
        names[id(tree)] = short or Path(filename).name
        codes.pop(id(tree), None)  # of an earlier tree, gone since
        return tree

    modulegraph.modulegraph.compile = compile_named


def scan_op_codes_in_bulk() -> None:
    """Find the names that code stores or loads without making an object of every instruction.

    modulegraph and one recipe go through `dis` for it, which took two thirds of the whole build.
    """
    stores = {dis.opmap["STORE_NAME"]: 0, dis.opmap["STORE_GLOBAL"]: 0}
    loads = {dis.opmap["LOAD_NAME"]: 0, dis.opmap["LOAD_GLOBAL"]: 1 if sys.version_info >= (3, 11) else 0}

    def scan_stores(_graph: object, code: CodeType, module: Any) -> None:
        module.globalnames.update(names_used(code, stores))

    def scan_loads(names: set[str], code: CodeType) -> None:
        names.update(names_used(code, loads))

    ModuleGraph._scan_bytecode_stores = scan_stores
    py2app.recipes.detect_dunder_file.scan_bytecode_loads = scan_loads


def names_used(code: CodeType, shifts: dict[int, int]) -> set[str]:
    """Give the names that instructions of the kinds in `shifts` refer to, in `code` and all code inside it.

    `shifts` says, for an op code, how many low bits of its argument are not part of the index into co_names
    (since 3.11 LOAD_GLOBAL keeps a flag there). Only the name's index matters, so the two-byte instructions
    are searched as two strings of bytes; EXTENDED_ARG before one carries the higher bits.
    """
    found: set[str] = set()
    pending = [code]
    extended = dis.opmap["EXTENDED_ARG"]
    while pending:
        one = pending.pop()
        raw = one.co_code
        kinds, arguments = raw[0::2], raw[1::2]
        for kind, shift in shifts.items():
            at = kinds.find(kind)
            while at >= 0:
                index, before, bits = arguments[at], at - 1, 8
                while before >= 0 and kinds[before] == extended:
                    index |= arguments[before] << bits
                    before, bits = before - 1, bits + 8
                found.add(one.co_names[index >> shift])
                at = kinds.find(kind, at + 1)
        pending += [constant for constant in one.co_consts if isinstance(constant, CodeType)]
    return found


def write_definite_byte_code() -> None:
    """Write the code that modulegraph has already compiled, without times and paths.

    py2app compiles every file a second time, and its .pyc hold the time it did so.
    """

    def byte_compile(modules: Iterable[Any], target_dir: str, **_rest: Any) -> None:
        for module in modules:
            inside = module.identifier.replace(".", "/")
            name = f"{inside}/__init__" if module.packagepath else inside
            path = Path(target_dir, f"{name}.pyc")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_bytes_of(module, f"{name}.py"))

    py2app.build_app.byte_compile = byte_compile


def _bytes_of(module: Any, name: str) -> bytes:
    path = Path(module.filename)
    code = getattr(module, "code", None)
    if code is None or code.co_filename != name:
        return bytecode.compile_file(path, name)
    return bytecode.pyc(code, path.read_bytes())


def keep_in_the_archive(names: frozenset[str]) -> None:
    """Keep one of py2app's recipes from taking these packages out of the archive."""
    recipe = py2app.recipes.detect_dunder_file
    really = recipe.get_toplevel_package_name

    def name_unless_archived(node: object) -> Any:
        name = really(node)
        return None if name in names else name

    recipe.get_toplevel_package_name = name_unless_archived


def take_all_metadata() -> None:
    """Keep py2app from choosing metadata by each package's RECORD: a tidy site-packages has none.

    What is installed there is what the app needs, so versions and licences of all of it go along.
    """
    py2app.build_app.scan_for_metadata = lambda _path: {}


def import_nothing() -> None:
    """Keep py2app from importing what it did not find, to say more about it: that runs the target's code."""

    def refuse(name: str, *_rest: object, **_more: object) -> None:
        raise ImportError(name)

    py2app.build_app.__import__ = refuse  # only explicit calls look here, import statements don't


def sign_later() -> None:
    """Leave signing to the step that does it with an identity; py2app's own is ad hoc."""
    py2app.build_app.codesign_adhoc = lambda _app: None


def ignore_build_time_library(prefix: str) -> None:
    """Tell py2app's recipes which files are the standard library's: those of the target's prefix."""
    from py2app.filters import not_stdlib_filter

    def third_party(module: Any) -> bool:
        return bool(not_stdlib_filter(module, prefix=prefix)) and not str(
            os.path.realpath(module.filename or "")
        ).startswith(os.path.realpath(prefix) + os.sep)

    py2app.recipes.detect_dunder_file.not_stdlib_filter = third_party


# -- running it ------------------------------------------------------------------------------------------


def run(path: Path, command: type[Build], prepare: Callable[[Job], None]) -> None:
    """Run the job described at `path` with `command`; the answer is written beside it as answer.json."""
    job = Job.read(path)
    prepare(job)
    scan_op_codes_in_bulk()
    write_definite_byte_code()
    keep_in_the_archive(options.ARCHIVED)
    take_all_metadata()
    import_nothing()
    sign_later()
    ignore_build_time_library(job.prefix)
    chosen: Any = type("Chosen", (command,), {"job": job, "seconds": {}, "graph": None})
    os.chdir(job.work)
    started = time.perf_counter()
    setup(
        name=job.name,
        version="0",
        app=[job.launcher],
        cmdclass={"py2app": chosen},
        options={
            "py2app": {
                **options.py2app_options(job.name),
                "dist_dir": job.dist,
                "bdist_base": str(Path(job.work, "build")),
            }
        },
        script_args=["--quiet", "py2app"],
    )
    chosen.seconds["all"] = time.perf_counter() - started
    missing = tuple(name for name in job.required if not _found(chosen, name))
    Answer(str(Path(job.dist, f"{job.name}.app")), missing, chosen.seconds).write(
        path.with_name("answer.json")
    )


def _found(build: Any, name: str) -> bool:
    if name in build.built_in():  # compiled in: py2app drops these from its graph in the end
        return True
    node = build.graph.findNode(name)
    return node is not None and not isinstance(node, modulegraph.modulegraph.MissingModule)
