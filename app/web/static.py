"""Style sheets, scripts, the icon, and htmx, which is a pinned input and not in the repository."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.version import resources

FOLDER = Path(__file__).parent / "static"
FROM_SOURCE = Path(__file__).parents[2] / "build/htmx.min.js"
HTMX = "htmx.min.js"


def htmx_path() -> Path:
    """Give htmx: the bundle's, or what `./invoke serve` put into build/. The pages work without it, too."""
    folder = resources()
    return folder / "web" / HTMX if folder is not None else FROM_SOURCE


@cache
def _file(name: str) -> tuple[bytes, str]:
    """Give a file's content and its ETag. Raises FileNotFoundError."""
    path = htmx_path() if name == HTMX else FOLDER / name
    content = path.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


async def static(request: Request) -> Response:
    """Answer GET /app/static/{name}."""
    name = request.path_params["name"]
    known = {HTMX, *(path.name for path in FOLDER.iterdir())}
    try:
        content, etag = _file(name) if name in known else (b"", "")
    except FileNotFoundError:
        etag = ""
    if not etag:
        raise HTTPException(404)
    headers = {"etag": etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    return Response(content, media_type=kind, headers=headers)
