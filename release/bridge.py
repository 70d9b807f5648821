"""The JavaScript bridge for running the app from source: `./invoke bridge.build`, `./invoke serve`."""

from __future__ import annotations

from pathlib import Path

from commands import Runner
from release import config, inputs
from release.bundle.bridge import build_bridge

SOURCE = Path("app/bridge")
BUILT = Path("build/bridge.js")  # where the app looks when it isn't packaged


def build(root: Path, runner: Runner) -> Path:
    """Build the bridge from the pinned packages; give its path, relative to the checkout."""
    modules = inputs.bridge_modules(inputs.Cache(), root / SOURCE, runner=runner)
    (root / BUILT).parent.mkdir(exist_ok=True)
    build_bridge(root / SOURCE, modules, bun(root, runner), root / BUILT, runner=runner)
    return BUILT


def bun(root: Path, runner: Runner) -> Path:
    """Give the pinned Bun for this machine."""
    pins = inputs.parse(config.load(root).inputs)
    return inputs.bun(inputs.Cache(), pins, "host", runner=runner)
