"""What the bridge runs in: Bun from the bundle or beside the bridge, else on PATH, else a Node new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.settings import Settings

Kind = Literal["bun", "node"]
Origin = Literal["bundled", "configured", "beside", "path"]

OLDEST_NODE = (22, 13)
# Without these Bun installs missing packages from the network at run time, and reads .env files.
BUN_FLAGS = ("--no-install", "--no-env-file")
NODE_FLAGS = ("--no-warnings",)
BRIDGE_JS = "bridge.js"


@dataclass(frozen=True, slots=True)
class Runtime:
    """A program that can run the bridge."""

    kind: Kind
    version: str
    program: Path
    origin: Origin
    bridge_js: Path

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line."""
        flags = BUN_FLAGS if self.kind == "bun" else NODE_FLAGS
        return (str(self.program), *flags, str(self.bridge_js))


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is nothing to run the bridge with; one sentence a candidate."""

    reasons: tuple[str, ...] = field(default=())


Ask = Callable[[Path], str | None]
Which = Callable[[str], str | None]


def ask_version(program: Path) -> str | None:
    """Ask `program` for its version; None if it does not run."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.decode("ascii", "replace").strip().removeprefix("v")
    return text if done.returncode == 0 and re.match(r"\d+\.\d+", text) else None


def find(settings: Settings, *, ask: Ask = ask_version, which: Which = shutil.which) -> Runtime | Missing:
    """Find what the bridge shall run in, in order of preference, or say why nothing will do."""
    bridge_js = find_bridge(settings)
    if not bridge_js.is_file():
        return Missing((f"{bridge_js} does not exist; `./invoke bridge.build` makes it",))
    reasons: list[str] = []
    for kind, program, origin in _candidates(settings, bridge_js, which):
        version = ask(program)
        problem = _problem(kind, version)
        if problem is None and version is not None:
            return Runtime(kind, version, program, origin, bridge_js)
        reasons.append(f"{program}: {problem}")
    return Missing(tuple(reasons) or ("neither Bun nor Node was found",))


def find_bridge(settings: Settings) -> Path:
    """Say where bridge.js is or should be: as configured, in the bundle, or in the source tree."""
    if settings.bridge_js is not None:
        return settings.bridge_js
    if settings.resource_dir is not None:
        return settings.resource_dir / BRIDGE_JS
    return Path(__file__).resolve().parents[2] / "build" / BRIDGE_JS


def _candidates(settings: Settings, bridge_js: Path, which: Which) -> Iterator[tuple[Kind, Path, Origin]]:
    if settings.runtime is not None:
        yield ("node" if settings.runtime.name.startswith("node") else "bun"), settings.runtime, "configured"
        return
    if settings.resource_dir is not None:
        bundled = settings.resource_dir.parent / "Helpers" / "bun"
        if os.access(bundled, os.X_OK):
            yield "bun", bundled, "bundled"
    beside = bridge_js.with_name("bun")
    if os.access(beside, os.X_OK):
        yield "bun", beside, "beside"
    for kind in ("bun", "node"):
        found = which(kind)
        if found is not None:
            yield ("bun" if kind == "bun" else "node"), Path(found), "path"


def _problem(kind: Kind, version: str | None) -> str | None:
    if version is None:
        return "does not run"
    if kind == "node" and tuple(map(int, version.split(".")[:2])) < OLDEST_NODE:
        return f"Node {version} is too old, {'.'.join(map(str, OLDEST_NODE))} or later is needed"
    return None
