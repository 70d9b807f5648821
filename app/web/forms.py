"""What a page sends back: read, bounded, and refused without this start's token."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.web.render import access_of

LONGEST = 64_000  # bytes
FIELDS = 100
URLENCODED = "application/x-www-form-urlencoded"


async def form(request: Request) -> dict[str, str]:
    """Read a form of a page of ours, the last of fields with one name. Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != URLENCODED:
        raise HTTPException(415)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        raise HTTPException(400) from None
    fields = dict(pairs)
    if not access_of(request).meant(fields.pop("token", None)):
        raise HTTPException(409)
    return fields
