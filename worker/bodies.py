"""Request bodies, read within bounds."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request

from worker.replies import Refusal, problem

SMALL: Final = 16 * 1024  # bytes of a form


async def read(request: Request, limit: int) -> bytes:
    """Give the whole body. Raises Refusal 413 as soon as it is longer than `limit` bytes."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            message = f"The request body is longer than {limit} bytes"
            raise Refusal(problem(413, message, "body_too_large", connection="close"))
    return data


async def json_object(request: Request, limit: int = SMALL) -> dict[str, Any]:
    """Give a JSON object. Raises Refusal: 415 for another content type, 400 for anything else, 413."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(problem(415, "Content-Type must be application/json", "invalid_request_error"))
    try:
        body = json.loads(await read(request, limit))
    except (ValueError, RecursionError):
        raise Refusal(problem(400, "Invalid JSON in request body", "invalid_request_error")) from None
    if not isinstance(body, dict):
        raise Refusal(problem(400, "The request body must be an object", "invalid_request_error"))
    return body


async def form(request: Request) -> dict[str, Any] | None:
    """Give the fields of a page's form, the last of each name; None if the body is something else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        fields = parse_qs((await read(request, SMALL)).decode("utf-8"), max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise Refusal(problem(400, "The form cannot be read", "invalid_request_error")) from None
    return {name: values[-1] for name, values in fields.items()}


def text(body: dict[str, Any], name: str, *, most: int, required: bool = True) -> str:
    """Give a trimmed string of at most `most` characters, "" if it may be absent. Raises Refusal 400."""
    value = body.get(name)
    value = value.strip() if isinstance(value, str) else "" if value is None else None
    if value is None or len(value) > most or any(ord(one) < 32 for one in value):
        raise Refusal(problem(400, f"{name} is not usable", "invalid_request_error", param=name))
    if required and not value:
        raise Refusal(problem(400, f"{name} is required", "invalid_request_error", param=name))
    return value
