"""What happens before the first request: settings, version, runtime, port."""

from __future__ import annotations

import dataclasses
import errno
import plistlib
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.cursor.process import clean_environment, prepare_state
from app.cursor.runtime import BUN_FLAGS, Missing, Runtime, ask_version, find
from app.errors import AppError
from app.server.listening import FURTHER_PORTS, listen
from app.settings import Settings, default_data_dir, from_environment
from app.version import FROM_SOURCE, command, read_version
from release.files import point_link
from tests.app.conftest import ROOT


def test_settings_from_nothing(tmp_path: Path) -> None:
    settings = from_environment({"HOME": str(tmp_path)})
    assert (settings.key, settings.run_timeout_ms, settings.origins) == (None, 180_000, ())
    assert settings.data_dir.is_relative_to(tmp_path)


def test_settings_from_the_environment() -> None:
    settings = from_environment(
        {
            "HOME": "/h",
            "CURSOR_API_KEY": " k ",
            "CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS": "5000",
            "API_FOR_CURSOR_DATA_DIR": "/d",
            "API_FOR_CURSOR_ORIGINS": "http://a http://b",
            "RESOURCEPATH": "/r",
        }
    )
    assert settings.key == "k"
    assert settings.run_timeout_ms == 5000
    assert settings.origins == ("http://a", "http://b")
    assert (settings.data_dir, settings.resource_dir) == (Path("/d"), Path("/r"))
    assert repr(settings) == "Settings(data_dir=/d, key=set)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS", "soon"),
        ("CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS", "0"),
        ("CURSOR_SDK_BRIDGE_JS", "bridge.js"),
        ("API_FOR_CURSOR_DATA_DIR", "data"),
    ],
)
def test_settings_that_cannot_be(name: str, value: str) -> None:
    with pytest.raises(AppError, match=name):
        from_environment({"HOME": "/h", name: value})


def test_where_data_is_kept() -> None:
    mac = default_data_dir({"HOME": "/Users/x"}, "darwin")
    assert mac == Path("/Users/x/Library/Application Support/API for Cursor")
    assert default_data_dir({"HOME": "/h"}, "linux") == Path("/h/.local/share/api-for-cursor")
    assert default_data_dir({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "linux") == Path("/x/api-for-cursor")


def test_how_to_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESOURCEPATH", raising=False)
    assert (command("key set"), command()) == ("python -m app key set", "python -m app")
    monkeypatch.setenv("RESOURCEPATH", "/Applications/API for Cursor.app/Contents/Resources")
    assert command("key set") == "'/Applications/API for Cursor.app/Contents/MacOS/API for Cursor' key set"


def test_version_of_the_bundle(tmp_path: Path) -> None:
    resources = tmp_path / "Contents/Resources"
    resources.mkdir(parents=True)
    assert read_version(resources) == FROM_SOURCE
    plist = tmp_path / "Contents/Info.plist"
    plist.write_bytes(plistlib.dumps({"CFBundleShortVersionString": "1.2.3"}))
    assert read_version(resources) == "1.2.3"
    plist.write_bytes(b"no plist")
    assert read_version(resources) == FROM_SOURCE
    assert read_version(None) == FROM_SOURCE


@pytest.fixture
def bundled(tmp_path: Path) -> Settings:
    """A bundle's layout with Bun in it."""
    resources = tmp_path / "Contents/Resources"
    resources.mkdir(parents=True)
    (resources / "bridge.js").touch()
    (tmp_path / "Contents/Helpers").mkdir()
    helper = tmp_path / "Contents/Helpers/bun"
    helper.touch(mode=0o755)
    return Settings(data_dir=tmp_path / "data", resource_dir=resources)


def nowhere(name: str) -> None:
    return None


def everywhere(name: str) -> str:
    return f"/usr/bin/{name}"


def test_the_bundled_bun_comes_first(bundled: Settings) -> None:
    found = find(bundled, ask=lambda program: "1.4.5", which=everywhere)
    assert isinstance(found, Runtime)
    assert (found.kind, found.origin, found.program.name) == ("bun", "bundled", "bun")
    assert found.argv[1:-1] == BUN_FLAGS
    assert found.bridge_js == bundled.resource_dir / "bridge.js"  # type: ignore[operator]


def test_a_bundled_bun_that_does_not_run_is_passed_over(bundled: Settings) -> None:
    answers = {"/usr/bin/bun": "1.4.5"}
    found = find(bundled, ask=lambda program: answers.get(str(program)), which=everywhere)
    assert isinstance(found, Runtime)
    assert (found.kind, found.origin) == ("bun", "path")


def test_from_source_it_is_the_bun_beside_the_bridge(tmp_path: Path) -> None:
    """`./invoke serve` leaves it there, so that `python -m app` needs none on PATH."""
    settings = Settings(data_dir=tmp_path / "data", bridge_js=tmp_path / "bridge.js")
    for name in ("bridge.js", "pinned"):
        (tmp_path / name).touch(mode=0o755)
    for _ in range(2):
        point_link(tmp_path / "bun", tmp_path / "pinned")
    found = find(settings, ask=lambda program: "1.4.5", which=everywhere)
    assert isinstance(found, Runtime)
    assert (found.kind, found.origin, found.program) == ("bun", "beside", tmp_path / "bun")
    configured = find(dataclasses.replace(settings, runtime=tmp_path / "mine"), ask=lambda program: "1.4.5")
    assert isinstance(configured, Runtime)
    assert configured.origin == "configured"


@pytest.mark.parametrize(
    ("version", "good"), [("22.13.0", True), ("24.1.0", True), ("22.12.9", False), ("20.20.2", False)]
)
def test_node_is_the_last_resort_and_must_be_new(bundled: Settings, version: str, good: bool) -> None:
    found = find(bundled, ask=lambda program: version if program.name == "node" else None, which=everywhere)
    assert isinstance(found, Runtime) is good
    if isinstance(found, Missing):
        assert f"Node {version} is too old, 22.13 or later is needed" in "; ".join(found.reasons)


def test_nothing_to_run_the_bridge_with(bundled: Settings) -> None:
    (bundled.resource_dir.parent / "Helpers/bun").unlink()  # type: ignore[union-attr]
    assert find(bundled, which=nowhere) == Missing(("neither Bun nor Node was found",))
    (bundled.resource_dir / "bridge.js").unlink()  # type: ignore[operator]
    found = find(bundled, which=nowhere)
    assert isinstance(found, Missing)
    assert "bridge.js does not exist" in found.reasons[0]


def test_asking_what_does_not_run(tmp_path: Path) -> None:
    program = tmp_path / "bun"
    program.write_bytes(b"\xcf\xfa\xed\xfe" + bytes(100))  # a Mach-O, as the bundle's is
    program.chmod(0o755)
    assert ask_version(program) is None
    assert ask_version(tmp_path / "absent") is None
    program.write_text("#!/bin/sh\necho no version\n")
    assert ask_version(program) is None


def test_the_bridge_gets_nothing_of_the_user(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    state = prepare_state(settings.data_dir)
    environment = clean_environment(settings, state=state, socket=Path("/s"), token="t")
    assert set(environment) == {
        "PATH", "HOME", "TMPDIR", "TZ", "CURSOR_SDK_BRIDGE_SOCKET", "CURSOR_SDK_BRIDGE_TOKEN",
    }  # fmt: skip
    assert environment["PATH"] == "/nonexistent"
    assert settings.key not in environment.values()
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_busy_port_gives_way_to_the_next() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with closing(listen("127.0.0.1", port)) as second:
            assert port < second.getsockname()[1] <= port + FURTHER_PORTS


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com", "::"])
def test_only_loopback(host: str) -> None:
    with pytest.raises(AppError, match="not a loopback address"):
        listen(host, 0)


def cli(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        cwd="/",
        timeout=30,
        check=False,
    )


def test_version_command() -> None:
    done = cli("version")
    assert (done.returncode, done.stdout) == (0, f"API for Cursor {FROM_SOURCE}\n")


def test_help() -> None:
    done = cli("--help")
    assert done.returncode == 0
    assert "serve" in done.stdout
    assert "CURSOR_API_KEY" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (("serve", "--host", "0.0.0.0"), {}, "not a loopback address"),
        (("serve", "--port", "99999"), {}, "is not a port"),
        (("serve",), {"API_FOR_CURSOR_DATA_DIR": "x"}, "give an absolute path"),
        (("serve",), {"CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS": "9" * 5000}, "give a positive whole number"),
        (("bridge",), {"CURSOR_SDK_BRIDGE_PORT": "9" * 5000}, "give a number from 0 to 65535"),
        ((), {}, "COMMAND"),
    ],
)
def test_mistakes_are_one_clear_message(
    arguments: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    done = cli(*arguments, **environ)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_only_the_system_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Guarded(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Guarded)
    with pytest.raises(AppError, match=r"cannot listen on 127\.0\.0\.1:80: Permission denied: ports below"):
        listen("127.0.0.1", 80)


def test_the_start_loads_nothing_that_only_requests_need() -> None:
    script = "import sys, app.cli.main, app.server.serve; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines())
    later = {
        "app.server.chat", "app.server.responses", "app.server.fetch", "app.openai.chat", "app.web.site",
        "app.agents.service", "app.doctor", "app.updates", "app.cli.desktop.run", "keyring", "secretstorage",
        "jinja2", "tomlkit", "ruamel.yaml", "certifi", "lxml", "cryptography", "objc",
    }  # fmt: skip
    assert "app.server.build" in loaded
    assert loaded & later == set()
