"""What the menus, the window's own page and the advice on the app's place say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.shell import link, menu, pages, place
from app.shell.events import State
from app.version import NAME

URL = "http://127.0.0.1:8787"
RUNNING = State(phase="running", run=1, url=URL, health=link.Health("ready"))


def titles(state: State, *, updates: bool = True) -> list[str]:
    return [item.title for item in menu.status_menu(state, updates=updates) if item]


@pytest.mark.parametrize(
    ("state", "summary", "icon"),
    [
        (State(), "Stopped", "pause.circle"),
        (State(phase="starting"), "Starting…", "ellipsis.circle"),
        (State(phase="waiting", failure="it crashed"), "Starting again: it crashed", "ellipsis.circle"),
        (State(phase="failed", failure="no port"), "Not running: no port", "exclamationmark.triangle"),
        (RUNNING, "Running on 127.0.0.1:8787", "bolt.horizontal.circle"),
        (replace(RUNNING, health=None), "Starting…", "ellipsis.circle"),
        (
            replace(RUNNING, health=link.Health("needs_api_key")),
            "Needs your Cursor key",
            "exclamationmark.triangle",
        ),
        (
            replace(RUNNING, health=link.Health("sdk_bridge_failed", "no network")),
            "Not working: no network",
            "exclamationmark.triangle",
        ),
    ],
)
def test_the_state_in_a_line_and_a_symbol(state: State, summary: str, icon: str) -> None:
    assert menu.summary(state) == summary
    assert menu.icon(state) == icon
    assert titles(state)[0] == summary


def test_a_long_failure_does_not_widen_the_menu() -> None:
    assert len(menu.summary(State(phase="failed", failure="x" * 500))) == menu.LONGEST_LINE


def test_the_address_is_there_while_there_is_one() -> None:
    assert f"{URL}/v1" in titles(RUNNING)
    assert "Copy Base URL" in titles(RUNNING)
    assert "Copy Base URL" not in titles(State())


def test_the_server_can_be_switched_as_it_is() -> None:
    assert "Start Server" in titles(State())
    assert "Start Server" in titles(State(phase="failed"))
    assert {"Stop Server", "Restart Server"} <= set(titles(RUNNING))
    stopping = menu.status_menu(replace(RUNNING, phase="stopping"), updates=True)
    assert [item.enabled for item in stopping if item and item.action in ("stop", "restart")] == [
        False,
        False,
    ]


def test_an_update_that_was_found_has_its_version_in_the_menu() -> None:
    assert "Check for Updates…" in titles(RUNNING)
    assert "Update to 1.2…" in titles(replace(RUNNING, update="1.2"))
    (item,) = [each for each in menu.status_menu(RUNNING, updates=False) if each and "Updates" in each.title]
    assert not item.enabled


def test_the_main_menu_has_what_a_mac_user_expects() -> None:
    menus = {one.title: one for one in menu.main_menu(updates=True)}
    assert list(menus) == [NAME, "File", "Edit", "View", "Window", "Help"]
    selectors = {item.selector for one in menus.values() for item in one.items if item}
    assert {
        "copy:",
        "paste:",
        "cut:",
        "selectAll:",
        "undo:",
        "terminate:",
        "performClose:",
        "hide:",
    } <= selectors
    assert "Check for Updates…" not in {
        item.title for one in menu.main_menu(updates=False) for item in one.items if item
    }


def test_no_key_is_taken_twice() -> None:
    items = [item for one in menu.main_menu(updates=True) for item in one.items if item and item.key]
    keys = [(item.key, item.option) for item in items]
    assert len(keys) == len(set(keys))


# -- the window ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "fate"),
    [
        (f"{URL}/app/settings?x=1", "here"),
        ("about:blank", "here"),
        ("https://cursor.com/dashboard", "browser"),
        ("mailto:someone@example.com", "browser"),
        ("http://127.0.0.1:9999/", "browser"),
        ("http://127.0.0.1:8787.example.com/", "browser"),
        (f"http://{URL.removeprefix('http://')}@example.com/", "browser"),
        ("file:///etc/passwd", "nowhere"),
        ("javascript:alert(1)", "nowhere"),
        ("data:text/html,x", "nowhere"),
        ("x-apple.systempreferences:com.apple", "nowhere"),
    ],
)
def test_only_its_own_pages_open_in_the_window(url: str, fate: str) -> None:
    assert pages.fate(url, URL) == fate
    assert pages.fate(url, "") != "here" or url == "about:blank"


def test_a_message_is_text() -> None:
    page = pages.message("Not <running>", "it said </p><script>")
    assert "&lt;running&gt;" in page
    assert "<script>" not in page


# -- its place -------------------------------------------------------------------------------------------


def test_a_translocated_app_and_one_on_a_disk_image_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = tmp_path / "API for Cursor.app"
    app.mkdir()
    assert place.trouble(app) is None
    moved = tmp_path / "AppTranslocation/1-2/d/API for Cursor.app"
    assert "temporary place" in str(place.trouble(moved))
    monkeypatch.setattr(place, "read_only", lambda path: True)
    assert "disk image" in str(place.trouble(app))


def test_a_read_only_volume_is_recognised() -> None:
    assert place.read_only(Path("/proc")) is False
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    fixed = [Path(mount[1]) for mount in mounts if "ro" in mount[3].split(",") and Path(mount[1]).is_dir()]
    if not fixed:
        pytest.skip("no read-only file system is mounted here")
    assert place.read_only(fixed[0])
