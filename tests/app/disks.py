"""A disk of its own for a test: full, or only to be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.app.conftest import ROOT


def on_a_disk(
    folder: Path, options: str, script: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python's `script` with a tmpfs at `folder`, which it gets as its argument.

    `options` are mount's, such as size=64k or ro. The test is skipped where nobody may mount.
    """
    mount = 'mount -t tmpfs -o "$4" none "$1" && exec "$2" -c "$3" "$1"'
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", folder, sys.executable, script]
    try:
        done = subprocess.run(
            [*map(str, argv), options],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if done.stderr.startswith(("unshare:", "mount:")):
        pytest.skip(f"this machine lets nobody mount: {done.stderr}")
    return done
