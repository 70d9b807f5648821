"""The user's settings file: kept whole, edited by hand, broken, on a full disk."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import AppError
from app.preferences import FILE, NAMES, File, Loaded, Preferences, origin
from app.settings import Settings, default_config_dir, from_environment
from tests.app.disks import on_a_disk


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "config" / FILE)


def put(file: File, content: str | bytes) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_no_file_is_as_good_as_an_empty_one(file: File) -> None:
    assert file.load() == Loaded(Preferences(), frozenset(), ())
    assert not file.path.parent.exists()
    put(file, "")
    assert file.load() == Loaded()
    put(file, "{}")
    assert file.load() == Loaded()


def test_changes_are_kept_and_the_rest_stays(file: File) -> None:
    put(file, '{\n  "later_version": {"a": [1, 2.5, null]},\n  "port": 9000\n}\n')
    assert file.change({"menu_bar_only": True}) == Preferences(port=9000, menu_bar_only=True)
    assert json.loads(file.path.read_text()) == {
        "later_version": {"a": [1, 2.5, None]},
        "port": 9000,
        "menu_bar_only": True,
    }
    assert list(json.loads(file.path.read_text())) == ["later_version", "port", "menu_bar_only"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.change({"port": None})
    assert file.load() == Loaded(Preferences(menu_bar_only=True), frozenset({"menu_bar_only"}), ())


def test_it_can_be_edited_by_hand(file: File) -> None:
    put(file, b'\xef\xbb\xbf{"origins": ["HTTPS://Example.com/"], "log_level": "debug"}')
    loaded = file.load()
    assert loaded.preferences.origins == ("https://example.com",)
    assert loaded.preferences.log_level == "debug"
    assert not loaded.problems


@pytest.mark.parametrize(
    "content",
    [b"{", b'{"port": 1', b"[]", b"null", b"\xff\xfe{}", b"port = 1", b"\x00" * 100, b"{}" * 600_000],
)
def test_a_broken_file_is_set_aside_and_told_of(file: File, content: bytes) -> None:
    put(file, content)
    loaded = file.load()
    assert loaded.preferences == Preferences()
    (problem,) = loaded.problems
    (aside,) = file.path.parent.iterdir()
    assert aside.name.startswith("settings.json.broken-")
    assert aside.name in problem
    assert aside.read_bytes() == content
    assert file.load() == Loaded()  # told once


def test_two_broken_files_in_a_second_are_both_kept(file: File) -> None:
    for content in ("{1", "{2", "{3"):
        put(file, content)
        assert file.load().problems
    kept = {path.read_text() for path in file.path.parent.iterdir()}
    assert kept == {"{1", "{2", "{3"}


def test_a_broken_file_is_set_aside_before_a_change_too(file: File) -> None:
    put(file, "{oops")
    file.change({"port": 9000})
    assert file.load().preferences.port == 9000
    assert "{oops" in {path.read_text() for path in file.path.parent.glob("*.broken-*")}


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", 0), ("port", 70_000), ("port", "8787"), ("port", 1.5), ("port", True), ("log_level", "loud"),
     ("origins", "https://example.com"), ("origins", ["example.com"]), ("origins", [1]), ("setup", 1),
     ("menu_bar_only", "yes"), ("keep_logs", -1), ("channel", "nightly")],
)  # fmt: skip
def test_one_bad_value_spoils_no_other(file: File, name: str, value: Any) -> None:
    put(file, json.dumps({name: value, "launch_at_login": True}))
    loaded = file.load()
    assert getattr(loaded.preferences, name) == getattr(Preferences(), name)
    assert loaded.preferences.launch_at_login
    assert loaded.stored == {"launch_at_login"}
    (problem,) = loaded.problems
    assert problem.startswith(f"{name} in {file.path} is not used")
    before = file.path.read_bytes()
    with pytest.raises(AppError, match=f"{name} cannot be"):
        file.change({name: value})
    assert file.path.read_bytes() == before


def test_what_is_no_setting_is_refused(file: File) -> None:
    with pytest.raises(AppError, match=r"there is no setting 'prot': there are port,"):
        file.change({"prot": 1})
    assert not file.path.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner),
    max_leaves=8,
)


@given(JSON)
def test_no_file_breaks_the_app(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = File(tmp_path_factory.mktemp("any") / FILE)
    put(file, json.dumps(content))
    loaded = file.load()
    assert isinstance(loaded.preferences, Preferences)
    if isinstance(content, dict):
        file.change({"setup": "done"})
        kept = json.loads(file.path.read_text())
        assert {**content, "setup": "done"} == kept


@pytest.mark.parametrize(
    "text", ["https://example.com", "http://localhost:3000", "http://[::1]:80", "vscode-webview://abc", "chrome-extension://abc"]
)  # fmt: skip
def test_web_origins(text: str) -> None:
    assert origin(text) == origin(f" {text}/ ") == text


@pytest.mark.parametrize(
    "text",
    ["", "*", "null", "example.com", "https://", "https://a/path", "https://u@a", "file:///x", "file://x",
     "data:,x", "https://a b", "https://a?b"],
)  # fmt: skip
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        origin(text)


def test_a_linked_file_stays_linked(file: File, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text('{"port": 9000}')
    file.path.parent.mkdir()
    file.path.symlink_to(real)
    file.change({"menu_bar_only": True})
    assert file.path.is_symlink()
    assert json.loads(real.read_text()) == {"port": 9000, "menu_bar_only": True}


def test_changes_at_once_are_all_kept(file: File) -> None:
    changes: list[dict[str, Any]] = [
        {"port": 9000}, {"launch_at_login": True}, {"menu_bar_only": True}, {"responses_tools": True},
        {"log_level": "debug"}, {"keep_logs": 9}, {"channel": "beta"}, {"setup": "done"},
    ]  # fmt: skip
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(file.change, changes))
    assert file.load().stored == {name for change in changes for name in change}


IN_A_FULL_DISK = """
import os, sys
from pathlib import Path
from app.errors import AppError
from app.keychain import KeyFile
from app.preferences import File

folder = Path(sys.argv[1])
settings, key = File(folder / "settings.json"), KeyFile(folder / "key")
settings.change({"port": 9000})
key.write("key_before_it_was_full")
with (folder / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
for change in (
    lambda: settings.change({"port": 9001, "origins": ["https://a"] * 500}), lambda: key.write("k" * 9000)
):
    try:
        change()
    except AppError as error:
        print(error)
print(settings.load().preferences.port, key.read().key, sorted(os.listdir(folder)))
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """On a disk of 64 KB that really is full."""
    done = on_a_disk(tmp_path, "size=64k", IN_A_FULL_DISK)
    one, other, after = done.stdout.splitlines()
    assert one == (
        f"cannot write {tmp_path}/settings.json: No space left on device: "
        "make room on the disk and try again; nothing was changed"
    )
    assert other.startswith(f"cannot write {tmp_path}/key: No space left on device")
    assert after == "9000 key_before_it_was_full ['.settings.json.lock', 'filler', 'key', 'settings.json']"
    assert not done.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where the folder should be")
    with pytest.raises(AppError, match=r"cannot make .*config"):
        File(tmp_path / "config" / FILE).change({"port": 9000})
    assert File(tmp_path / "config" / FILE).load().problems


def test_a_folder_in_its_place_is_not_replaced(file: File) -> None:
    file.path.mkdir(parents=True)
    assert "cannot be read" in file.load().problems[0]
    with pytest.raises(AppError, match="cannot read"):
        file.change({"port": 9001})
    assert file.path.is_dir()


# --- who decides ------------------------------------------------------------------------------------------


def test_the_environment_goes_before_the_file_and_the_file_before_defaults(file: File) -> None:
    put(file, '{"port": 9000, "responses_tools": true, "origins": ["https://file.example"]}')
    loaded = file.load()
    environment = {
        "HOME": "/h",
        "API_FOR_CURSOR_PORT": "9999",
        "API_FOR_CURSOR_ORIGINS": "https://A.example/",
    }
    settings = from_environment(environment).following(loaded.preferences)
    assert (settings.port, settings.responses_tools, settings.log_level) == (9999, True, "info")
    assert settings.origins == ("https://a.example",)
    assert settings.forced == {"port", "origins"}  # what the environment decides
    assert loaded.stored == {"port", "responses_tools", "origins"}  # and the file


def test_a_switch_in_the_environment_can_switch_off() -> None:
    off = from_environment({"HOME": "/h", "API_FOR_CURSOR_RESPONSES_TOOLS": "0"})
    assert not off.following(Preferences(responses_tools=True)).responses_tools
    unset = from_environment({"HOME": "/h", "API_FOR_CURSOR_RESPONSES_TOOLS": ""})
    assert unset.following(Preferences(responses_tools=True)).responses_tools


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_FOR_CURSOR_PORT", "0"), ("API_FOR_CURSOR_PORT", "65536"), ("API_FOR_CURSOR_PORT", "http"),
     ("API_FOR_CURSOR_LOG_LEVEL", "loud"), ("API_FOR_CURSOR_KEYCHAIN", "none"),
     ("API_FOR_CURSOR_ORIGINS", "https://ok.example example.com"), ("API_FOR_CURSOR_CONFIG_DIR", "here"),
     ("CURSOR_SDK_BRIDGE_SANDBOX", "maybe"), ("API_FOR_CURSOR_RESPONSES_TOOLS", "perhaps")],
)  # fmt: skip
def test_a_variable_that_cannot_be(name: str, value: str) -> None:
    with pytest.raises(AppError, match=name):
        from_environment({"HOME": "/h", name: value})


def test_where_settings_are_kept_is_where_platformdirs_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs.unix import Unix

    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for config, data in ((None, None), ("/c", "/d"), ("relative", "relative")):
        environ = {"HOME": "/h"}
        for variable, value in (("XDG_CONFIG_HOME", config), ("XDG_DATA_HOME", data)):
            if value is not None:
                environ[variable] = value
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        linux = from_environment(environ)
        if config != "relative":  # platformdirs takes it as it is; the specification says to ignore it
            assert linux.config_dir == Unix("api-for-cursor").user_config_path
            assert linux.data_dir == Unix("api-for-cursor").user_data_path
        else:
            assert linux.config_dir == Path("/h/.config/api-for-cursor")
    assert default_config_dir({"HOME": "/h"}, "darwin") == _on_a_mac(monkeypatch)


def _on_a_mac(monkeypatch: pytest.MonkeyPatch) -> Path:
    from platformdirs.macos import MacOS

    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return MacOS("API for Cursor").user_config_path


def test_changing_while_it_runs(file: File, tmp_path: Path) -> None:
    from app.server.build import build
    from app.server.listening import Address

    settings = Settings(data_dir=tmp_path, forced=frozenset({"responses_tools"}))
    state = build(settings, Address("127.0.0.1", 1), file=file).state.server
    assert state.change(port=9000, origins=["https://a.example"], responses_tools=True) == {"port"}
    assert state.settings.origins == ("https://a.example",)
    assert not state.settings.responses_tools  # the environment decides
    assert file.load().preferences.responses_tools  # and when it does not any more, this holds
    with pytest.raises(AppError):
        state.change(port=0)
    keeps_none = build(settings, Address("127.0.0.1", 1)).state.server
    with pytest.raises(AppError, match="keeps no settings"):
        keeps_none.change(port=9000)
