"""`python -m app` for people and programs: keys, state, and what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app import doctor
from app.cli.main import main
from app.cli.status import describe
from app.doctor import EARLIEST, Finding
from app.errors import AppError
from app.instance import Running
from app.keychain import FILE
from app.settings import Settings, from_environment
from tests.app.conftest import ROOT, environment_of, served
from tests.standins.cursor import CursorStandIn

KEY = "key_of_mine_1234"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, in which there is nothing to run a bridge in."""
    for name in list(os.environ):
        if name.startswith(("CURSOR_", "API_FOR_CURSOR_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("API_FOR_CURSOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("API_FOR_CURSOR_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("API_FOR_CURSOR_KEYCHAIN", "file")
    monkeypatch.setenv("CURSOR_SDK_BRIDGE_RUNTIME", str(tmp_path / "none"))
    return tmp_path


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def kept(home: Path) -> str | None:
    path = home / "data" / FILE
    return path.read_text().strip() if path.exists() else None


# --- key ---


def test_a_key_from_a_pipe(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "status"]) == 1
    given(monkeypatch, f'  "{KEY}"\r\n')
    assert main(["key", "set", "--no-check"]) == 0
    assert kept(home) == KEY
    assert main(["key", "status"]) == 0
    assert main(["key", "remove"]) == 0
    assert kept(home) is None
    assert main(["key", "remove"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "There is no key in a private file: python -m app key set",
        "The key …1234 is kept in a private file.",
        "The key …1234 is kept in a private file.",
        "There is no key in a private file any more.",
        "There is no key in a private file any more.",
    ]
    assert "only this user can read" in err
    assert KEY not in out + err


def test_for_programs(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "state": "absent", "key": None, "source": "a private file", "warning": None,
    }  # fmt: skip
    monkeypatch.setenv("CURSOR_API_KEY", KEY)
    assert main(["key", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "state": "present", "key": "…1234", "source": "the environment (CURSOR_API_KEY)", "warning": None,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "two words here", "x", "k" * 20_000, "key_one\nkey_two\n"])
def test_what_is_no_key_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    given(monkeypatch, KEY)
    assert main(["key", "set", "--no-check"]) == 0
    given(monkeypatch, text)
    assert main(["key", "set", "--no-check"]) == 1
    assert kept(home) == KEY
    assert "dashboard" in capsys.readouterr().err


def test_a_key_that_cannot_be_checked_is_kept_only_if_that_is_meant(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, KEY)
    began = time.monotonic()
    assert main(["key", "set"]) == 1  # there is nothing to ask Cursor with
    assert time.monotonic() - began < 8  # and it is known at once
    assert kept(home) is None
    assert "--no-check" in capsys.readouterr().err


def test_the_environments_key_goes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CURSOR_API_KEY", KEY)
    given(monkeypatch, "key_that_would_be_hidden")
    assert main(["key", "set", "--no-check"]) == 1
    assert main(["key", "remove"]) == 1
    assert kept(home) is None
    assert capsys.readouterr().err.count("CURSOR_API_KEY") == 2


def test_a_key_is_no_argument(home: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["key", "set", KEY])
    assert caught.value.code == 2


def test_typing_a_key_does_not_show_it(home: Path) -> None:
    """In a real terminal."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "key", "set", "--no-check"],
        cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while b"): " not in shown:
        assert select.select([master], [], [], 30)[0]
        shown += os.read(master, 4096)
    os.write(master, f"{KEY}\n".encode())
    with contextlib.suppress(OSError):  # Linux's end of a terminal
        while chunk := os.read(master, 4096):
            shown += chunk
    assert process.wait(30) == 0
    os.close(master)
    assert KEY.encode() not in shown
    assert "…1234 is kept".encode() in shown
    assert kept(home) == KEY


@pytest.fixture
def wired(real: Settings, home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same with the real bridge and the stand-in for Cursor."""
    for name, value in environment_of(dataclasses.replace(real, key=None)).items():
        monkeypatch.setenv(name, value)
    return real


@pytest.mark.release
def test_cursor_is_asked(
    wired: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, f"{KEY}\n")
    assert main(["key", "set"]) == 0
    assert "of a@example.com, named test key" in capsys.readouterr().out
    given(monkeypatch, "key_that_is_bad")
    assert main(["key", "set"]) == 1
    assert capsys.readouterr().err.startswith("Cursor refuses this key")
    assert main(["key", "status", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["good"] is True
    (wired.data_dir / FILE).write_text("key_that_went_bad")
    assert main(["key", "status", "--check"]) == 1
    assert "Cursor refuses this key" in capsys.readouterr().out


# --- status ---

RUNNING = Running(url="http://127.0.0.1:8787", pid=7, version="1.0", started=1000.0, token="t")
BRIDGE = {"state": "ready", "runtime": "bun", "version": "1.4", "sandbox": "bubblewrap", "problem": None}
HEALTH = {"status": "ready", "version": "1.0", "bridge": BRIDGE}


def test_status_in_words() -> None:
    assert describe(RUNNING, HEALTH, 1000.0 + 3700).splitlines() == [
        "address  http://127.0.0.1:8787/v1",
        "process  7, for 1 h 1 min",
        "version  1.0",
        "state    ready",
        "bridge   ready, bun 1.4, sandbox: bubblewrap",
    ]
    assert "does not answer" in describe(RUNNING, None, 1000.0)
    assert describe(None, None, 0.0) == "Not running. Start it with: python -m app serve\n"


@pytest.mark.parametrize(
    ("now", "long"),
    [(1000.0, "less than a minute"), (0.0, "less than a minute"), (1000 + 59 * 60.0, "59 min"),
     (1000 + 49 * 3600.0, "2 d 1 h")],
)  # fmt: skip
def test_how_long_it_runs_whatever_the_clock_does(now: float, long: str) -> None:
    assert f"for {long}\n" in describe(RUNNING, None, now)


@pytest.mark.release
def test_a_server_that_is_ready(wired: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with served({**environment_of(wired), "API_FOR_CURSOR_KEYCHAIN": "file"}) as server:
        deadline = time.monotonic() + 20
        while main(["status", "--json"]) != 0:
            assert time.monotonic() < deadline, capsys.readouterr().out
            time.sleep(0.1)
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert found["running"] is True
        assert found["health"]["baseUrl"] == f"{server.url}/v1"
        assert server.stop() == 0


# --- doctor ---


def findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main(["doctor", "--json", *arguments])
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_what_is_wrong_on_a_bare_machine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED  key      there is none\n                 → python -m app key set\n" in printed
    found = findings(capsys, "--offline")
    assert list(found) == [
        "version", "settings", "data", "clock", "server", "port",
        "runtime", "sandbox", "bridge", "key", "updates",
    ]  # fmt: skip
    assert {name for name, one in found.items() if one["level"] == "failed"} == {"runtime", "key"}
    assert all(one["cure"] for one in found.values() if one["level"] == "failed")


def test_a_broken_settings_file_and_a_busy_port(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    (home / "config").mkdir()
    (home / "config/settings.json").write_text("{")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        monkeypatch.setenv("API_FOR_CURSOR_PORT", str(taken.getsockname()[1]))
        found = findings(capsys, "--offline")
    assert found["settings"]["level"] == "failed"
    assert "is kept as settings.json.broken-" in found["settings"]["said"]
    assert (found["port"]["level"], "in use" in found["port"]["said"]) == ("note", True)


def test_a_folder_for_data_that_is_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "data").write_text("a file")
    found = findings(capsys, "--offline")
    assert found["data"]["level"] == "failed"


def test_an_open_folder(home: Path) -> None:
    (home / "data").mkdir(mode=0o755)
    (home / "data").chmod(0o755)
    assert doctor.data_folder(home / "data").level == "note"


@pytest.mark.parametrize(
    ("now", "level"), [(0.0, "failed"), (EARLIEST - 1.0, "failed"), (EARLIEST + 1e7, "ok"), (4e9, "failed")]
)
def test_a_clock_that_is_wrong(now: float, level: str) -> None:
    assert doctor.clock(now).level == level


def test_the_feed(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("API_FOR_CURSOR_FEED", "http://127.0.0.1:1/appcast.xml")
    found = findings(capsys)
    assert found["updates"]["level"] == "failed"
    assert "cannot be fetched" in found["updates"]["said"]


@pytest.mark.release
def test_all_is_well(wired: Settings, cursor: CursorStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    (wired.data_dir).mkdir(mode=0o700)
    (wired.data_dir / FILE).write_text(KEY)
    found = findings(capsys)
    assert {name for name, one in found.items() if one["level"] == "failed"} == set()
    assert found["key"]["said"] == "…1234 in a private file, of a@example.com"
    assert found["bridge"]["said"].startswith("ready after")
    (wired.data_dir / FILE).write_text("key_that_is_bad")
    assert findings(capsys)["key"]["level"] == "failed"


def test_a_finding_in_words() -> None:
    from app.cli.doctor import line

    assert line(Finding("port", "ok", "free")) == "ok      port     free\n"
    assert line(Finding("port", "note", "busy", "wait")) == "note    port     busy\n                 → wait\n"


def test_a_wrong_variable_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("API_FOR_CURSOR_PORT", "everywhere")
    for command in (["serve"], ["key", "status"], ["status"], ["doctor"]):
        assert main(command) == 1
        assert capsys.readouterr().err == (
            "API_FOR_CURSOR_PORT is 'everywhere': give a whole number from 1 to 65535\n"
        )
    with pytest.raises(AppError):
        from_environment()
