"""What the app needs besides its source to run from there: the JavaScript bridge, Bun, the pages' htmx."""

from __future__ import annotations

from pathlib import Path

from commands import Runner
from release import config, inputs
from release.bundle.bridge import build_bridge
from release.files import point_link, write_atomic

SOURCE = Path("app/bridge")
BUILT = Path("build/bridge.js")  # where the app looks when it isn't packaged, for the bridge and its Bun
HTMX = Path("build/htmx.min.js")  # the same, for its pages


def build(root: Path, runner: Runner) -> Path:
    """Build the bridge from the pinned packages, and put Bun beside it; give its path, relative to `root`."""
    modules = inputs.bridge_modules(inputs.Cache(), root / SOURCE, runner=runner)
    (root / BUILT).parent.mkdir(exist_ok=True)
    program = bun(root, runner)
    build_bridge(root / SOURCE, modules, program, root / BUILT, runner=runner)
    point_link((root / BUILT).with_name("bun"), program)
    return BUILT


def bun(root: Path, runner: Runner) -> Path:
    """Give the pinned Bun for this machine."""
    pins = inputs.parse(config.load(root).inputs)
    return inputs.bun(inputs.Cache(), pins, "host", runner=runner)


def htmx(root: Path, runner: Runner) -> Path:
    """Put the pages' htmx where the app looks for it; give its path, relative to the checkout."""
    source = inputs.htmx(inputs.Cache(), inputs.parse(config.load(root).inputs), runner=runner)
    write_atomic(root / HTMX, source.read_bytes())
    return HTMX
