"""One server to a data folder, and how others find it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from app import instance
from app.errors import AppError
from app.instance import ALREADY_RUNNING, FILE, Running, claim, find
from app.settings import Settings
from tests.app.conftest import ROOT, environment_of, served
from tests.app.disks import on_a_disk


def test_there_is_none(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert find(tmp_path / "nowhere") is None
    assert not (tmp_path / "nowhere").exists()


def test_the_second_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with claim(tmp_path) as place:
        place.publish("http://127.0.0.1:8787", "secret-token")
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        found = find(tmp_path)
        assert found is not None
        assert (found.url, found.port, found.pid) == ("http://127.0.0.1:8787", 8787, os.getpid())
        assert "secret-token" not in repr(found)
        for asked in (None, 8787):
            with (
                pytest.raises(AppError, match=r"runs already, on http://127\.0\.0\.1:8787/v1") as caught,
                claim(tmp_path, asked=asked),
            ):
                pass
            assert caught.value.status == ALREADY_RUNNING
        with claim(tmp_path, asked=9000) as other:  # the user wants one more
            assert not other.main
            other.publish("http://127.0.0.1:9000", "x")
        still = find(tmp_path)
        assert still == found
    assert find(tmp_path) is None
    assert not (tmp_path / FILE).exists()
    with claim(tmp_path) as again:
        assert again.main


def test_one_that_is_just_starting(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(AppError, match="about to listen"), claim(tmp_path):
        pass


def test_a_killed_one_leaves_nothing_that_matters(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from pathlib import Path; from app.instance import claim\n"
        "with claim(Path(sys.argv[1])) as place:\n"
        "    place.publish('http://127.0.0.1:1', 't')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, check=False)
    assert (tmp_path / FILE).exists()
    assert find(tmp_path) is None
    with claim(tmp_path) as place:
        assert place.main


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 1}', b"\xff"])
def test_a_runtime_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    with claim(tmp_path):
        (tmp_path / FILE).write_bytes(content)
        assert find(tmp_path) is None


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path) -> None:
    with claim(tmp_path) as place:
        place.publish("http://127.0.0.1:8787", "t")
        running = msgspec.json.decode((tmp_path / FILE).read_bytes(), type=Running)
        for started in (0.0, running.started + 10**9):
            changed = msgspec.structs.replace(running, started=started)
            (tmp_path / FILE).write_bytes(msgspec.json.encode(changed))
            assert find(tmp_path) == changed


def test_what_answers_there_may_be_another_program(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    running = Running(url=f"http://127.0.0.1:{port}", pid=1, version="1", started=0.0, token="t")
    assert running.health() is None
    assert running.ask("POST", "/control/reload") == (0, {})


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AppError, match="cannot make"), claim(tmp_path / "file" / "data"):
        pass


def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from app.errors import AppError; from app.instance import claim\n"
        "try:\n    with claim(Path(sys.argv[1]) / 'data'): print('claimed')\n"
        "except AppError as error: print(error)\n"
    )
    done = on_a_disk(tmp_path, "ro", script)
    assert done.stdout == (
        f"cannot make {tmp_path}/data: Read-only file system: "
        "that disk can only be read; set API_FOR_CURSOR_DATA_DIR to a folder elsewhere\n"
    )


def test_a_full_disk_does_not_keep_the_server_from_answering(
    bridgeless: dict[str, str], tmp_path: Path
) -> None:
    script = """
import asyncio, os, sys, threading, urllib.request
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "data").mkdir(mode=0o700)
(folder / "data/server.lock").touch()
with (folder / "filler").open("wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)): pass
    except OSError: pass
from app.server import serve
from app.settings import from_environment
def ask():
    url = f"http://127.0.0.1:{os.environ['API_FOR_CURSOR_PORT']}/health"
    for _ in range(600):
        try: print(urllib.request.urlopen(url).status); break
        except OSError: __import__("time").sleep(0.05)
    os.kill(os.getpid(), 15)
threading.Thread(target=ask).start()
serve.run(from_environment(), host="127.0.0.1", port=None)
"""
    environment = {**bridgeless, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = on_a_disk(tmp_path, "size=64k", script, environment)
    assert done.stdout == "200\n", done.stderr
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_address_for_agents(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", config_dir=tmp_path / "config")
    assert instance.address(settings) == "http://127.0.0.1:8787"
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.json").write_text('{"port": 9000}')
    assert instance.address(settings) == "http://127.0.0.1:9000"
    with claim(settings.data_dir) as place:
        place.publish("http://127.0.0.1:9001", "t")
        assert instance.address(settings) == "http://127.0.0.1:9001"


def app(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def bridgeless(tmp_path: Path) -> dict[str, str]:
    """The environment of a server that has nothing to run its bridge in, which is all that is needed here."""
    settings = Settings(data_dir=tmp_path / "data", bridge_js=tmp_path / "none.js", runtime=tmp_path / "none")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    return {**environment_of(settings), "API_FOR_CURSOR_PORT": str(port)}


def test_two_copies(bridgeless: dict[str, str], tmp_path: Path) -> None:
    port = bridgeless["API_FOR_CURSOR_PORT"]
    assert app(bridgeless, "status").returncode == 1
    with served(bridgeless, "--host", "127.0.0.1") as server:
        assert server.url == f"http://127.0.0.1:{port}"
        second = app(bridgeless, "serve")
        assert second.returncode == ALREADY_RUNNING
        assert second.stderr == (
            f"API for Cursor runs already, on http://127.0.0.1:{port}/v1 (process {server.process.pid}): "
            "use that one, or give this one a port of its own with --port\n"
        )
        status = app(bridgeless, "status", "--json")
        assert json.loads(status.stdout)["health"]["port"] == int(port)
        assert status.returncode == 1  # it runs, but is not ready
        told = app(bridgeless, "status").stdout
        assert f"http://127.0.0.1:{port}/v1" in told
        assert "python -m app doctor" in told
        with served(bridgeless, "--port", "0") as third:
            assert third.url != server.url
            assert third.stop() == 0
        assert json.loads(app(bridgeless, "status", "--json").stdout)["health"]["port"] == int(port)
        server.process.send_signal(signal.SIGSTOP)  # alive, and no answer
        try:
            assert "it does not answer" in app(bridgeless, "status").stdout
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert server.stop() == 0
    assert app(bridgeless, "status").stdout.startswith("Not running")


def test_a_key_that_is_set_while_the_server_runs_is_taken_up(bridgeless: dict[str, str]) -> None:
    environment = {**bridgeless, "CURSOR_API_KEY": ""}

    def key(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", "key", *arguments],
            cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
            input=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    with served(environment, "--host", "127.0.0.1") as server:
        running = find(Path(environment["API_FOR_CURSOR_DATA_DIR"]))
        assert running is not None
        assert running.ask("POST", "/control/reload")[1]["key"] == "absent"
        done = key("set", "--no-check", given="  'key_of_mine_1234'\n")
        assert (done.returncode, done.stdout) == (0, "The key …1234 is kept in a private file.\n")
        assert "key_of_mine" not in done.stdout + done.stderr
        assert running.ask("POST", "/control/reload")[1]["key"] == "present"
        assert key("remove").returncode == 0
        stranger = msgspec.structs.replace(running, token="guessed")
        assert stranger.ask("POST", "/control/reload")[0] == 403
        assert server.stop() == 0
    log = (Path(environment["API_FOR_CURSOR_DATA_DIR"]) / "logs/server.log").read_text()
    assert "key_of_mine" not in log
    assert running.token not in log
