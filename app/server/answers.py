"""Responses: JSON through msgspec, and errors in OpenAI's shape."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.openai.errors import INVALID, ApiError
from app.server.visits import note

_encoder = msgspec.json.Encoder()


class Json(Response):
    """A JSON response."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode `content`."""
        return _encoder.encode(content)


def client_left() -> ApiError:
    """Make the answer to nobody; 499 is nginx's status for it, and only a log will see it."""
    return ApiError(499, "The client has left.", code="client_left")


def error_response(error: ApiError, headers: dict[str, str] | None = None) -> Json:
    """Answer with `error`."""
    return Json(error.body(), status_code=error.status, headers={**error.headers(), **(headers or {})})


async def on_api_error(request: Request, error: Exception) -> Response:
    """Answer an ApiError raised by an endpoint."""
    assert isinstance(error, ApiError)
    note(request, error=error.code)
    unread = {"connection": "close"} if error.status == 413 else None  # the rest of the body is not wanted
    return error_response(error, unread)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    method, path = request.method, request.url.path[:200]
    messages = {
        404: f"There is no {path} here. The API is under /v1; see GET /health.",
        405: f"{method} is not allowed on {path}.",
    }
    message = messages.get(error.status_code, str(error.detail))
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, INVALID)
    headers = dict(error.headers) if error.headers else None
    return error_response(ApiError(error.status_code, message, code=code), headers)


async def on_disconnect(request: Request, error: Exception) -> Response:
    """Answer nobody: the client left while it was sending."""
    return await on_api_error(request, client_left())


async def on_crash(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw. What it was is in the log, not in the answer."""
    message = "The server failed on this request. Its log says why."
    return error_response(ApiError(500, message, type="server_error", code="internal_error"))
