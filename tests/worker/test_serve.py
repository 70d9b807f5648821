"""The local host as a program: how it ends when it is interrupted."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.checkouts import ROOT
from worker.hosts.local.serve import main


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "99999"), "'99999' is not a port"),
        (("--releases", "nowhere"), "there is no folder nowhere"),
        (("--vars", "vars"), "vars cannot be read: 'utf-8'"),
        (("--data", "vars"), "vars cannot be used: [Errno 17] File exists"),
        (("--data", "."), "cannot be used: file is not a database"),
        (("--data", "later"), "cannot be used: 0001_init.sql cannot be applied"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vars").write_bytes(b"A=\xff")
    Path("site.sqlite").write_text("this is no database at all")
    Path("later").mkdir()
    with closing(sqlite3.connect("later/site.sqlite")) as database:
        database.execute("CREATE TABLE accounts (id)")
    with pytest.raises(SystemExit) as ended:
        main(["--data", "data", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


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
