from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from release.bundle.runtime import LAUNCHER
from tests.release.bundle import tiny


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        ([], ["desktop"]),
        (["-psn_0_123456"], ["desktop"]),
        (["serve", "--linked"], ["serve", "--linked"]),
        (["--help"], ["--help"]),
    ],
)
def test_opened_it_is_the_mac_app_and_with_a_command_line_that(
    tmp_path: Path, given: list[str], runs: list[str]
) -> None:
    tiny.write(tmp_path, {"app/__main__.py": "import sys\nprint(sys.argv[1:])\n", "app/__init__.py": ""})
    argv = [sys.executable, str(LAUNCHER), *given]
    done = subprocess.run(argv, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{runs}\n"
