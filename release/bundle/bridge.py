"""Make the one JavaScript file that the app runs: the bridge with Cursor's SDK in it.

`app/bridge/build.mjs` describes the build; Bun does it, in a folder of its own whose layout is the same on
every machine, so the same inputs give the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release.files import write_atomic

SDK = "@cursor/sdk"
ENTRY = "src/main.mjs"
MODULES = "modules.json"
BUILD_SCRIPT = "build.mjs"
# What the bundle must contain, or it is not the bridge: the guard's reason for existing, and our framing.
LANDMARKS = (b"agent.v1.ExecServerMessage", b"custom-user-tools", b"CURSOR_SDK_BRIDGE_SOCKET")
SMALLEST = 1_000_000
# Without these Bun fetches missing packages and reads .env files of the folder it stands in.
BUN_FLAGS = ("--no-install", "--no-env-file")
_PACKAGE = re.compile(r"(?:node_modules/(?:@[^/]+/)?[^/]+(?:/(?=node_modules/)|(?=/)))+")


def build_bridge(
    bridge_dir: Path, node_modules: Path, bun: Path, dst: Path, *, runner: Runner
) -> tuple[str, ...]:
    """Bundle `bridge_dir` (app/bridge) and the packages in `node_modules` into the file `dst`, atomically.

    `bun` is an executable for this machine. The result runs under Bun and under Node 22.13 or later, needs no
    other file, and holds no path of this machine. Returns the packages of which something went in, as the
    lock file names them: `node_modules/zod`. Raises Fault INPUT_MISSING, TOOL or BUNDLE.
    """
    _require_packages(bridge_dir, node_modules)
    with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
        stage = Path(folder).resolve()
        _stage(bridge_dir, node_modules, stage)
        built = stage / "bridge.js"
        _bundle(stage, built, bun, runner)
        _check(built, private=(stage, bridge_dir, node_modules, bun, Path.home()))
        packages = _packages(json.loads((stage / MODULES).read_bytes()))
        write_atomic(dst, built.read_bytes())
    return packages


def _require_packages(bridge_dir: Path, node_modules: Path) -> None:
    for path, cure in (
        (bridge_dir / ENTRY, "run this from a whole checkout"),
        (node_modules / SDK / "package.json", "install the bridge's packages: npm ci --ignore-scripts"),
    ):
        if not path.is_file():
            raise Fault("a part of the bridge is missing", where=path, cure=cure, status=Exit.INPUT_MISSING)


def _stage(bridge_dir: Path, node_modules: Path, stage: Path) -> None:
    for name in ("package.json", BUILD_SCRIPT):
        shutil.copyfile(bridge_dir / name, stage / name)
    shutil.copytree(bridge_dir / "src", stage / "src")
    (stage / "node_modules").symlink_to(node_modules.resolve(), target_is_directory=True)


def _bundle(stage: Path, built: Path, bun: Path, runner: Runner) -> None:
    argv: list[str | Path] = [bun.resolve(), *BUN_FLAGS, BUILD_SCRIPT, ENTRY, built.name, MODULES]
    environment = {"PATH": "/nonexistent", "HOME": str(stage), "TZ": "UTC"}
    environment |= {"BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0", "TMPDIR": str(stage)}
    runner.run(argv, cwd=stage, env=environment, timeout=300)
    if not built.is_file():
        raise Fault("bun built nothing", where=stage / ENTRY, status=Exit.BUNDLE)


def _packages(modules: Iterable[str]) -> tuple[str, ...]:
    """Name the packages that files are in, as a lock file does: from the first `node_modules/` on."""
    found = {match[0] for name in modules if (match := _PACKAGE.search(name))}
    return tuple(sorted(found))


def _check(built: Path, *, private: tuple[Path, ...]) -> None:
    data = built.read_bytes()
    absent = [mark.decode() for mark in LANDMARKS if mark not in data]
    if absent or len(data) < SMALLEST:
        what = f"the built bridge is not whole ({len(data)} bytes; missing: {', '.join(absent) or 'nothing'})"
        raise Fault(what, status=Exit.BUNDLE)
    leaked = [path for path in private if _names(data, path)]
    if leaked:
        raise Fault(
            "the built bridge names paths of this machine",
            details=tuple(map(str, leaked)),
            cure="look for the package that keeps its own path",
            status=Exit.BUNDLE,
        )


def _names(data: bytes, path: Path) -> bool:
    """Whether `data` has `path` as a whole path: "/opt" is no leak inside "/optional" or "a/opt"."""
    forms = {os.fsencode(path), os.fsencode(path.resolve())} - {b"/"}
    return any(re.search(rb"(?<![\w.@/-])" + re.escape(form) + rb"(?=/)", data) for form in forms)
