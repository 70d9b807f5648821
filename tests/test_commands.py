from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from commands import Subprocess
from errors import Exit, Fault

PYTHON = sys.executable


def test_output_status_and_stdin() -> None:
    result = Subprocess().run([PYTHON, "-c", "print(input()[::-1])"], stdin=b"abc\n")
    assert (result.status, result.stdout) == (0, b"cba\n")


def test_environment_is_replaced() -> None:
    result = Subprocess().run(["/usr/bin/env"], env={"ONLY": "this"})
    assert result.stdout == b"ONLY=this\n"


def test_failure_shows_the_last_lines() -> None:
    with pytest.raises(Fault) as caught:
        Subprocess().run([PYTHON, "-c", "import sys; sys.exit('went wrong')"])
    assert "status 1" in caught.value.what
    assert caught.value.details == ("went wrong",)


def test_status_can_be_looked_at_instead() -> None:
    assert Subprocess().run([PYTHON, "-c", "raise SystemExit(7)"], check=False).status == 7


def test_missing_program_is_named_with_its_cure() -> None:
    with pytest.raises(Fault) as caught:
        Subprocess().run([Path("/nonexistent/codesign")])
    assert caught.value.status == Exit.TOOL
    assert "Mac" in (caught.value.cure or "")


def test_timeout() -> None:
    with pytest.raises(Fault, match="did not finish"):
        Subprocess().run([PYTHON, "-c", "import time; time.sleep(60)"], timeout=0.2)
    assert os.getpid()
