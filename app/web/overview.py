"""How the app is, in the words of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.cursor.client import Bridge
from app.server.health import status
from app.server.state import State

Tone = Literal["good", "warn", "bad", "calm", "passing"]
RUNTIMES = {"bun": "Bun", "node": "Node"}
ORIGINS = {
    "bundled": "part of the app",
    "configured": "as configured",
    "beside": "found beside the bridge",
    "path": "found on this machine",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """The state in a few words; `passing` if it will change by itself soon."""

    tone: Tone
    title: str
    text: str
    cure: str = ""
    passing: bool = False


@dataclass(frozen=True, slots=True)
class BridgeView:
    """The bridge's state as shown; `more` has further facts by name."""

    word: str
    tone: Tone
    runtime: str
    more: tuple[tuple[str, str], ...] = ()


SUMMARIES = {
    "ready": Summary("good", "Ready", "Agents and scripts on this machine can use Cursor’s models."),
    "needs_api_key": Summary("warn", "No key yet", "Enter your Cursor key, and agents get their answers."),
    "needs_unlock": Summary("warn", "The key is locked", "Unlock it, and agents get their answers."),
    "sdk_bridge_starting": Summary(
        "warn", "Starting", "The bridge to Cursor starts; it takes a second.", passing=True
    ),
    "sdk_bridge_failed": Summary(
        "bad", "The bridge does not run", "It is started again by itself; until then nothing is answered."
    ),
    "sdk_bridge_missing": Summary("bad", "The bridge is missing", "Without it nothing reaches Cursor."),
}


def summary(state: State) -> Summary:
    """Sum the state up."""
    found = SUMMARIES[status(state.bridge, state.keys.held)]
    if found.tone != "bad" or state.bridge.problem is None:
        return found
    return Summary(found.tone, found.title, found.text, state.bridge.problem, passing=True)


def bridge_view(bridge: Bridge) -> BridgeView:
    """Describe the bridge."""
    words: dict[str, tuple[str, Tone]] = {"ready": ("running", "good"), "missing": ("missing", "bad")}
    failing: tuple[str, Tone] = ("starting", "warn") if bridge.problem is None else ("failed", "bad")
    word, tone = words.get(bridge.state, failing)
    runtime = bridge.runtime
    if runtime is None:
        return BridgeView(word, tone, "nothing")
    name = " ".join(filter(None, (RUNTIMES.get(runtime.kind, runtime.kind), runtime.version)))
    wall = "none here" if bridge.sandbox is None else bridge.sandbox.name
    more = (("Comes from", ORIGINS.get(runtime.origin, runtime.origin)), ("Second wall", wall))
    return BridgeView(word, tone, name, more)
