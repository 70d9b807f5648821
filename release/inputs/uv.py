"""Running uv."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from commands import Result, Runner, find
from errors import Exit, Fault

# What uv says when a proxy or a company's own authority stands between it and the registry.
UNTRUSTED: Final = re.compile("UnknownIssuer|invalid peer certificate|self.signed certificate", re.IGNORECASE)


def program() -> Path:
    """Find uv: beside this Python first, then on PATH; raises Fault TOOL."""
    own = Path(sysconfig.get_path("scripts")) / "uv"
    found = own if own.is_file() else find("uv")
    if found is None:
        cure = "run ./invoke, which installs it into .venv"
        raise Fault("uv is needed and not installed", cure=cure, status=Exit.TOOL)
    return found


def run(
    argv: Sequence[str | Path],
    *,
    runner: Runner,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run uv, unchecked; where its own certificates do not do, once more with the system's."""
    result = runner.run(argv, cwd=cwd, env=env, check=False)
    if result.status and UNTRUSTED.search(result.text):
        return runner.run([*argv, "--system-certs"], cwd=cwd, env=env, check=False)
    return result
