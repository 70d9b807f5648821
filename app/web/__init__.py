"""The app's own pages, at /app/. Only this module is imported before the first of them is asked for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import AppError
from app.server.health import health
from app.server.state import state_of


class Pages:
    """ASGI application that becomes the pages when one is asked for: agents need none."""

    def __init__(self) -> None:
        self._site: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._site is None:
            from app.web.site import site

            try:
                self._site = site(state_of(Request(scope)))
            except AppError as error:
                await PlainTextResponse(f"The pages cannot be shown: {error}.\n", 500)(scope, receive, send)
                return
        await self._site(scope, receive, send)


async def front(request: Request) -> Response:
    """Answer `/` and `/app`: browsers are shown the pages, programs what /health says."""
    if request.url.path != "/" or "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/app/", 307)
    return await health(request)
