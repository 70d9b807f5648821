"""The agents' programs, from the pinned packages. If one cannot be had, its tests are skipped and say so."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Subprocess
from errors import Exit, Fault
from release import inputs
from release.inputs import uv
from release.inputs.faults import explain

HERE = Path(__file__).parent
AIDER_LOCK = HERE.parents[1] / "requirements/aider.txt"
CPUS = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@contextmanager
def had(name: str) -> Iterator[None]:
    """Skip if what is installed within cannot be had; a wrong digest is a failure as ever."""
    try:
        yield
    except Fault as fault:
        if fault.status not in (Exit.NETWORK, Exit.INPUT_MISSING):
            raise
        pytest.skip(f"{name} cannot be had: {fault}")


def modules() -> Path:
    """node_modules with the agents of package.json."""
    with had("the agents' npm packages"):
        return inputs.bridge_modules(inputs.Cache(), HERE, runner=Subprocess())


def opencode() -> list[str]:
    return [_binary("opencode", f"opencode-{_system()}/bin/opencode")]


def codex() -> list[str]:
    return [_binary("codex", f"@openai/codex-{_system()}/vendor/*/bin/codex")]


def pi(node: Path) -> list[str]:
    return [str(node), _binary("pi", "@mariozechner/pi-coding-agent/dist/cli.js")]


def aider() -> list[str]:
    """Python with nothing but aider's own packages, which lie in a folder of the cache."""
    lock = hashlib.sha256(AIDER_LOCK.read_bytes()).hexdigest()
    with had("aider"):
        packages = inputs.Cache().derived(f"aider {_system()} {sys.version_info[:2]} {lock}", _install_aider)
    # In the environment, since it starts Python again to look over what it wrote.
    return ["env", f"PYTHONPATH={packages}", sys.executable, "-P", "-S", "-m", "aider"]


def _install_aider(folder: Path) -> None:
    line: list[str | Path] = [
        *(uv.program(), "pip", "install", "--quiet", "--require-hashes", "--python", sys.executable),
        *("--compile-bytecode", "--link-mode", "copy", "--target", folder, "-r", AIDER_LOCK),
    ]
    environment = {**os.environ, "PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}
    result = uv.run(line, runner=Subprocess(), env=environment)
    if result.status:
        raise explain(result, "aider", where=str(AIDER_LOCK))


def _binary(name: str, pattern: str) -> str:
    found = sorted(modules().glob(pattern))
    if not found:
        pytest.skip(f"{name} cannot be had: there is no pinned package of it for {_system()}")
    return str(found[0])


def _system() -> str:
    return f"{sys.platform}-{CPUS.get(platform.machine(), platform.machine())}"
