"""POST /control/reload: for this user's own programs, which read the token in the runtime file."""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import Response

from app.openai.errors import ApiError
from app.server.answers import Json
from app.server.state import State, state_of


async def reload(request: Request) -> Response:
    """Read key and preferences again, as after `python -m app key set`."""
    state = state_of(request)
    require_token(request, state)
    loaded = state.preferences()
    state.follow(loaded.preferences)
    held = await state.keys.read()
    return Json({"key": held.state, "source": held.source, "problems": loaded.problems})


def require_token(request: Request, state: State) -> None:
    """Refuse whoever could not read the runtime file: 403."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), state.token.encode()):
        raise ApiError(403, "This is for the app's own programs.", code="forbidden")
