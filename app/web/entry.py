"""GET /app/enter: a ticket becomes a cookie."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.web.access import PASS_LIFE
from app.web.render import LINKS, access_of, locked, part


async def enter(request: Request) -> Response:
    """Let a browser in that brings a ticket, and lead it on.

    Not by a redirect: what began elsewhere would arrive without a cookie that is for this site alone.
    """
    access = access_of(request)
    if not access.admits(request.query_params.get("ticket", "")):
        return HTMLResponse(locked("used"), 403)
    paths = {link.name: link.path for link in LINKS}
    place = paths.get(request.query_params.get("place", ""), "/app/")
    answer = HTMLResponse(part("entering.html", place=place))
    answer.set_cookie(
        access.cookie, access.proof, max_age=PASS_LIFE, path="/app", httponly=True, samesite="strict"
    )
    return answer
