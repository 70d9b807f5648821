"""What is worth a notification: what the user cannot see otherwise, and not the same again within hours."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from app.shell import link
from app.shell.events import Effect, Notify, State, Topic
from app.version import NAME

SELDOM = 6 * 3600.0  # seconds until the same topic may be brought up again


def health(state: State, now: float, *, before: link.Health | None) -> tuple[State, tuple[Effect, ...]]:
    """Bring up a health that got worse, unless the window shows it."""
    visible = state.shown or state.place is not None
    if state.health is None or visible or (before is not None and before.status == state.health.status):
        return state, ()
    match state.health.status:
        case "needs_api_key":
            return _tell(state, now, "key", "It needs your Cursor key", "Open the window to enter it.")
        case "needs_unlock":
            return _tell(state, now, "key", "Your Keychain is locked", "Open the window to unlock it.")
        case "sdk_bridge_missing" | "sdk_bridge_failed":
            return _tell(state, now, "bridge", "It cannot reach Cursor", state.health.problem or "")
        case _:
            return state, ()


def server(state: State, now: float) -> tuple[State, tuple[Effect, ...]]:
    """Bring up that the server has failed for good."""
    return _tell(state, now, "server", "The server does not run", state.failure)


def update(state: State, now: float) -> tuple[State, tuple[Effect, ...]]:
    """Bring up an update that was found in the background."""
    text = "Choose Check for Updates in the menu bar to see what is new."
    return _tell(state, now, "update", f"Version {state.update} is available", text)


def _tell(state: State, now: float, topic: Topic, title: str, text: str) -> tuple[State, tuple[Effect, ...]]:
    if now - state.told.get(topic, -SELDOM) < SELDOM:
        return state, ()
    told = replace(state, told=MappingProxyType({**state.told, topic: now}))
    return told, (Notify(topic, f"{NAME}: {title[0].lower()}{title[1:]}", text),)
