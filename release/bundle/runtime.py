"""The part of the app that isn't ours: interpreter, standard library, third-party code, packed by py2app.

It takes most of the time and depends on little: which modules the app imports, their locked versions, and
options.py. So it is made apart from the app's own code, and kept while these stay the same.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from commands import Runner
from errors import Exit
from release.bundle import imports, machos, options, thin, tree
from release.bundle.compile import compile_file, require_python
from release.bundle.imports import Import
from release.bundle.job import Answer, Job
from release.bundle.spec import BundleFault, BundleSpec

HERE = Path(__file__).parent
LAUNCHER = HERE / "launcher.py"


def runtime_inputs(spec: BundleSpec) -> Mapping[str, object]:
    """Give what the runtime of `spec` depends on, besides prefix and site-packages, as plain values."""
    return {
        "name": spec.name,
        "python": spec.python,
        "arch": spec.arch,
        "epoch": spec.epoch,
        "imports": imports.imports_of(spec.source),
        "options": options.table(),
        "launcher": LAUNCHER.read_text("utf-8"),
    }


def build_runtime(
    spec: BundleSpec,
    dst: Path,
    *,
    prefix: Path,
    site_packages: Path,
    runner: Runner,
    portable: bool | None = None,
) -> None:
    """Make `dst`, an app of everything but our own code.

    `prefix` is a macOS Python (…/Python.framework/Versions/3.11), `site_packages` a folder of macOS packages.
    `portable` chooses how py2app runs; by default natively on a Mac. `dst` appears whole or not at all.
    Raises BundleFault: a module that the app imports isn't there, a slice is missing, py2app failed.
    """
    require_python(spec.python)
    portable = sys.platform != "darwin" if portable is None else portable
    with tree.workshop(dst) as work:
        job = _job(spec, work, prefix, site_packages, imports.scan(spec.source))
        app = _run(job, work, portable=portable, runner=runner)
        _tidy(app, spec)
        tree.remove(dst)
        app.rename(dst)


def argv(job: Path, *, portable: bool) -> tuple[str, ...]:
    """Give the command line that builds a job: this interpreter, without the user's own packages."""
    module = "release.bundle.cross" if portable else "release.bundle.native"
    return (sys.executable, "-s", "-B", "-m", module, str(job))


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the environment of the building process: fixed but for where programs and a home are.

    A fixed hash seed fixes the order of sets, and with it the order in which modules are found.
    """
    kept = {name: environ[name] for name in ("PATH", "HOME", "TMPDIR", "DEVELOPER_DIR") if name in environ}
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONPATH": str(HERE.parents[1]), "LC_ALL": "C.UTF-8"}


def needs(found: tuple[Import, ...]) -> str:
    """Write the script that py2app reads to know what the app imports. It is never run, nor packed."""
    return "".join(f"{one.statement}\n" for one in found)


def _job(spec: BundleSpec, work: Path, prefix: Path, site_packages: Path, found: tuple[Import, ...]) -> Job:
    scripts = work / "scripts"
    scripts.mkdir()
    (scripts / "launcher.py").write_bytes(LAUNCHER.read_bytes())
    (scripts / "needs.py").write_text(needs(found), "utf-8")
    required = {one.module for one in found if not one.optional} | set(options.DYNAMIC_IMPORTS)
    return Job(
        name=spec.name,
        python=spec.python,
        prefix=str(prefix.resolve()),
        site_packages=str(site_packages.resolve()),
        work=str(work),
        dist=str(work / "dist"),
        launcher=str(scripts / "launcher.py"),
        needs=str(scripts / "needs.py"),
        required=tuple(sorted(required)),
    )


def _run(job: Job, work: Path, *, portable: bool, runner: Runner) -> Path:
    path = work / "job.json"
    job.write(path)
    done = runner.run(argv(path, portable=portable), cwd=work, env=environment(), check=False)
    if done.status:
        if os.strerror(errno.ENOSPC) in done.text:
            raise BundleFault(
                "The disk is full", where=work.parent, cure="make room and try again", status=Exit.DISK
            )
        raise BundleFault(f"py2app ended with status {done.status}", where=job.name, details=done.tail(12))
    answer = Answer.read(work / "answer.json")
    if answer.missing:
        raise BundleFault(
            "The app imports modules that are not among the packages for macOS",
            details=answer.missing,
            cure="add them to requirements/app.in and lock again, or guard the import with try and except",
            status=Exit.BUNDLE,
        )
    return Path(answer.app)


# -- afterwards ------------------------------------------------------------------------------------------


def _tidy(app: Path, spec: BundleSpec) -> None:
    """Take out what only builds need, compile what is left as source, thin, settle times and modes."""
    resources = app / "Contents/Resources"
    library = resources / "lib" / f"python{spec.python}"
    framework = app / f"Contents/Frameworks/Python.framework/Versions/{spec.python}"
    for path in (resources / "include", framework / "include", framework / "lib"):
        tree.remove(path)
    _compile_loose(library)
    _drop_useless(library)
    _drop_unused_libraries(app)
    tree.prune(app)
    thin.thin_tree(app, spec.slices)
    tree.settle(app, spec.epoch)


def _compile_loose(library: Path) -> None:
    """Compile the packages that are kept as files: py2app copies their source."""
    for path in sorted(library.rglob("*.py")):
        path.with_suffix(".pyc").write_bytes(compile_file(path, path.relative_to(library).as_posix()))
        path.unlink()
    for path in sorted(library.rglob("__pycache__")):
        tree.remove(path)


def _drop_useless(library: Path) -> None:
    for path in thin.files(library):
        if not options.useful(path.relative_to(library)):
            path.unlink()


def _drop_unused_libraries(app: Path) -> None:
    """Remove libraries in Contents/Frameworks that nothing loads.

    py2app copies a library there even if its users find it beside themselves, by @loader_path.
    """
    while unused := _unused_libraries(app):
        for path in unused:
            path.unlink()


def _unused_libraries(app: Path) -> set[Path]:
    """Give the libraries there that no other file loads, so that one loaded only by an unused one is next."""
    present = {path for path in (app / "Contents/Frameworks").glob("*.dylib") if path.is_file()}
    loaded = {
        place.resolve()
        for path in thin.files(app)
        if present and thin.slices_of(path)
        for image in machos.images(path)
        for reference in image.loads
        for place in machos.candidates(reference, image, path, app / "Contents/MacOS")
        if place.resolve() != path
    }
    return present - loaded
