"""The Playground: its page. The chat itself is between the browser and /v1/chat/completions."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.cursor.models import MODELS
from app.server.health import status
from app.server.state import state_of
from app.web.render import page


async def show(request: Request) -> Response:
    """Answer GET /app/playground."""
    state = state_of(request)
    held = await state.keys.current()
    ready = status(state.bridge, held) in ("ready", "sdk_bridge_starting")
    return page(request, "playground", models=[model.id for model in MODELS], ready=ready)
