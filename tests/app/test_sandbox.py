"""The second wall: which one is chosen, and how it is called."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.cursor import sandbox
from app.cursor.runtime import Runtime
from app.errors import AppError
from app.settings import from_environment

RUNTIME = Runtime("bun", "1.4.5", Path("/opt/bun"), "path", Path("/opt/bridge.js"))
STATE = Path("/data/bridge")


def found(mode: Any, platform: str, works: bool = True) -> sandbox.Sandbox | None:
    return sandbox.find(mode, RUNTIME, STATE, platform=platform, attempt=lambda argv: works)


def test_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    walls = found("auto", "linux")
    assert walls == sandbox.Sandbox("bubblewrap", Path("/usr/bin/bwrap"))
    assert found("off", "linux") is None
    assert found("auto", "linux", works=False) is None  # there, but not allowed
    assert found("auto", "darwin") is None  # only when asked for
    assert found("on", "darwin") == sandbox.Sandbox("sandbox-exec", Path("/usr/bin/sandbox-exec"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert found("auto", "linux") is None


def test_a_sandbox_that_is_asked_for_must_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    for platform in ("linux", "darwin", "win32"):
        with pytest.raises(AppError, match="no sandbox works here: install bubblewrap"):
            found("on", platform, works=False)


@pytest.mark.anyio
async def test_without_one_there_is_no_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.cursor import client
    from app.cursor.client import Bridge, RunFailed
    from app.settings import Settings

    monkeypatch.setattr(client, "find", lambda settings: RUNTIME)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    bridge = Bridge(Settings(data_dir=tmp_path, sandbox="on"))
    await bridge.start()
    with pytest.raises(RunFailed, match="no sandbox works here"):
        await bridge.status()
    assert bridge.state == "missing"
    await bridge.stop()


def test_bubblewrap_is_tried_with_the_runtime_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    tried: list[tuple[str, ...]] = []

    def attempt(argv: Sequence[str]) -> bool:
        tried.append(tuple(argv))
        return True

    sandbox.find("auto", RUNTIME, STATE, platform="linux", attempt=attempt)
    (argv,) = tried
    assert argv[0] == "/usr/bin/bwrap"
    assert argv[-3:] == ("--", "/opt/bun", "--version")
    assert "--share-net" not in argv
    assert "--unshare-net" not in argv


def test_bubblewrap_shows_only_what_is_needed() -> None:
    walls = sandbox.Sandbox("bubblewrap", Path("/usr/bin/bwrap"))
    argv = walls.argv(RUNTIME, state=STATE, readable=(Path("/ca.pem"),), reachable=(Path("/tmp/s"),))
    shown = {argv[index + 1] for index, word in enumerate(argv) if word in ("--bind", "--ro-bind")}
    assert shown == {"/data/bridge", "/tmp/s", "/opt/bun", "/opt/bridge.js", "/ca.pem"}
    written = {argv[index + 1] for index, word in enumerate(argv) if word == "--bind"}
    assert written == {"/data/bridge", "/tmp/s"}
    tried = {argv[index + 1] for index, word in enumerate(argv) if word == "--ro-bind-try"}
    assert not tried & {"/", "/usr", "/usr/bin", "/bin", "/home", "/etc", "/root"}
    assert argv[-len(RUNTIME.argv) :] == RUNTIME.argv


def test_the_profile_for_a_mac() -> None:
    walls = sandbox.Sandbox("sandbox-exec", Path("/usr/bin/sandbox-exec"))
    argv = walls.argv(RUNTIME, state=STATE)
    assert argv[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert argv[2].count("(") == argv[2].count(")")
    for name in ("RUNTIME", "BRIDGE", "STATE"):
        assert f'(param "{name}")' in argv[2]
        assert any(word.startswith(f"{name}=/") for word in argv)
    assert argv[-len(RUNTIME.argv) :] == RUNTIME.argv


def test_what_does_not_run() -> None:
    assert sandbox.runs(("/bin/true",))
    assert not sandbox.runs(("/bin/false",))
    assert not sandbox.runs(("/nonexistent/bwrap",))


def test_the_setting() -> None:
    assert from_environment({"HOME": "/h"}).sandbox == "auto"
    assert from_environment({"HOME": "/h", "CURSOR_SDK_BRIDGE_SANDBOX": "off"}).sandbox == "off"
    with pytest.raises(AppError, match="say auto, on or off"):
        from_environment({"HOME": "/h", "CURSOR_SDK_BRIDGE_SANDBOX": "perhaps"})
