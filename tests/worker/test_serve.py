"""The local host as a program: how it ends when it is interrupted."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.checkouts import ROOT


def started(folder: Path, *flags: str, port: int = 0) -> subprocess.Popen[str]:
    line = [sys.executable, *flags, "-m", "worker.hosts.local", "--port", str(port), "--data", str(folder)]
    return subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_an_interruption_while_modules_are_loaded_is_quiet(tmp_path: Path) -> None:
    with started(tmp_path, "-X", "importtime") as program:
        assert program.stderr is not None
        next(line for line in program.stderr if "starlette" in line)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    assert program.returncode == 130
    assert [line for line in said.splitlines() if not line.startswith("import time:")] == []


@pytest.mark.slow
def test_an_interruption_while_it_serves_is_a_clean_stop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with started(tmp_path, port=port) as program:
        while program.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    assert (program.returncode, said) == (0, f"serving on http://127.0.0.1:{port}\n")
