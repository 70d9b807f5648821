"""The menus, as values: the one in the menu bar follows the state, the app's own is always the same.

An item's `action` is ours (events.Action) and comes back as an event; its `selector` is AppKit's, sent to
whatever has the focus. Without either it is only text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.shell.events import Action, State
from app.version import NAME

Icon = Literal["ellipsis.circle", "bolt.horizontal.circle", "exclamationmark.triangle", "pause.circle"]
LONGEST_LINE = 60  # characters; a menu is as wide as its longest line

NEEDS = {
    "needs_api_key": "Needs your Cursor key",
    "needs_unlock": "Needs your Keychain unlocked",
    "sdk_bridge_missing": "Not working",
    "sdk_bridge_failed": "Not working",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a menu. `key` is its letter with ⌘, upper case for ⇧⌘; `option` adds ⌥."""

    title: str
    action: Action | None = None
    selector: str = ""
    key: str = ""
    option: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Menu:
    """A menu of the menu bar. None is a line between items. `role` is for AppKit to know it by."""

    title: str
    items: tuple[Item | None, ...]
    role: Literal["", "windows", "help"] = ""


def summary(state: State) -> str:
    """Say in one line how the server is."""
    match state.phase:
        case "starting" | "waiting":
            return _line(f"Starting again: {state.failure}" if state.failure else "Starting…")
        case "stopping":
            return "Stopping…"
        case "stopped":
            return "Stopped"
        case "failed":
            return _line(f"Not running: {state.failure}")
    health = state.health
    if health is None or health.status == "sdk_bridge_starting":
        return "Starting…"
    if health.status in NEEDS:
        need = NEEDS[health.status]
        return _line(f"{need}: {health.problem}" if health.problem else need)
    return f"Running on {(state.url or '').removeprefix('http://')}"


def icon(state: State) -> Icon:
    """Choose the symbol of the menu bar: at work, starting, in need of the user, or stopped."""
    if state.phase == "failed" or (state.health is not None and state.health.status in NEEDS):
        return "exclamationmark.triangle"
    if state.phase in ("stopped", "stopping"):
        return "pause.circle"
    return "ellipsis.circle" if summary(state).startswith("Starting") else "bolt.horizontal.circle"


def status_menu(state: State, *, updates: bool) -> tuple[Item | None, ...]:
    """Give the menu behind the symbol in the menu bar. `updates` says if updates can be looked for."""
    url = f"{state.url}/v1" if state.url else ""
    found = f"Update to {state.update}…" if state.update else "Check for Updates…"
    return (
        Item(summary(state), enabled=False),
        *((Item(url, enabled=False), Item("Copy Base URL", "copy")) if url else ()),
        None,
        Item(f"Open {NAME}", "open", key="o"),
        Item("Settings…", "settings", key=","),
        None,
        *_switch(state),
        None,
        Item(found, "check_for_updates", enabled=updates),
        None,
        Item(f"Quit {NAME}", selector="terminate:", key="q"),
    )


def _switch(state: State) -> tuple[Item, ...]:
    if state.phase in ("stopped", "failed"):
        return (Item("Start Server", "start"),)
    usable = state.phase != "stopping"
    return (
        Item("Stop Server", "stop", enabled=usable),
        Item("Restart Server", "restart", enabled=usable and state.phase == "running"),
    )


def main_menu(*, updates: bool) -> tuple[Menu, ...]:
    """Give the app's own menus. Without an Edit menu, ⌘C and ⌘V would not work in the window."""
    return (
        Menu(NAME, _app_items(updates)),
        Menu("File", (Item("Close Window", selector="performClose:", key="w"),)),
        Menu(
            "Edit",
            (
                Item("Undo", selector="undo:", key="z"),
                Item("Redo", selector="redo:", key="Z"),
                None,
                Item("Cut", selector="cut:", key="x"),
                Item("Copy", selector="copy:", key="c"),
                Item("Paste", selector="paste:", key="v"),
                Item("Select All", selector="selectAll:", key="a"),
            ),
        ),
        Menu("View", (Item("Reload", selector="reload:", key="r"),)),
        Menu(
            "Window",
            (
                Item("Minimize", selector="performMiniaturize:", key="m"),
                Item("Zoom", selector="performZoom:"),
                None,
                Item(NAME, "open", key="0"),
                None,
                Item("Bring All to Front", selector="arrangeInFront:"),
            ),
            role="windows",
        ),
        Menu("Help", (), role="help"),  # macOS puts its search of all menus there
    )


def _app_items(updates: bool) -> tuple[Item | None, ...]:
    return (
        Item(f"About {NAME}", selector="orderFrontStandardAboutPanel:"),
        *((Item("Check for Updates…", "check_for_updates"),) if updates else ()),
        None,
        Item("Settings…", "settings", key=","),
        None,
        Item(f"Hide {NAME}", selector="hide:", key="h"),
        Item("Hide Others", selector="hideOtherApplications:", key="h", option=True),
        Item("Show All", selector="unhideAllApplications:"),
        None,
        Item(f"Quit {NAME}", selector="terminate:", key="q"),
    )


def _line(text: str) -> str:
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1].rstrip() + "…"
