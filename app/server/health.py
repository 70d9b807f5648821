"""GET /health: what this is, whether it works, and if not, why."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.cursor.client import Bridge
from app.cursor.models import MODELS
from app.keychain import Held
from app.keys import UNREAD
from app.server.answers import Json
from app.server.state import State, state_of
from app.version import NAME, version


def describe(state: State) -> dict[str, Any]:
    """Give the body of /health."""
    return {
        "service": NAME,
        "status": status(state.bridge, state.keys.held),
        "version": version(),
        "host": state.address.host,
        "port": state.address.port,
        "baseUrl": f"{state.address.url}/v1",
        "models": [model.id for model in MODELS],
        "bridge": bridge(state.bridge),
    }


def status(bridge: Bridge, held: Held) -> str:
    """Sum up in one word: ready, or what is in the way, the most lasting first."""
    if bridge.state == "missing":
        return "sdk_bridge_missing"
    if held is UNREAD:
        return "sdk_bridge_starting"  # as everything is
    if held.state != "present":
        return "needs_unlock" if held.state == "locked" else "needs_api_key"
    if bridge.state == "ready":
        return "ready"
    return "sdk_bridge_starting" if bridge.problem is None else "sdk_bridge_failed"


def bridge(bridge: Bridge) -> dict[str, Any]:
    """Say what the bridge runs in (`path`: app.cursor.runtime.Origin), behind which wall, and how it is."""
    runtime = bridge.runtime
    return {
        "state": bridge.state,
        "runtime": None if runtime is None else runtime.kind,
        "version": None if runtime is None else runtime.version,
        "path": None if runtime is None else runtime.origin,
        "sandbox": None if bridge.sandbox is None else bridge.sandbox.name,
        "problem": bridge.problem,
    }


async def health(request: Request) -> Response:
    """Answer GET and HEAD /health."""
    return Json(describe(state_of(request)), headers={"cache-control": "no-store"})
