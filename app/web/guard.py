"""ASGI middleware around the pages: lets in their own origin with the cookie, and sets security headers."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.access import Access
from app.web.render import locked

CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would send our own forms' Origin as null
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SAFE = ("GET", "HEAD")


class Guard:
    """Refuses whoever `app.web.access` keeps out."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope)
        answer = self.app
        if foreign(headers, scope["method"]):
            answer = HTMLResponse(locked("foreign"), 403)
        elif not (is_open(_path(scope)) or self._knows(headers)):
            answer = HTMLResponse(locked("locked"), 403)
        await answer(scope, receive, _secured(send))

    def _knows(self, headers: Headers) -> bool:
        return self.access.holds(_cookie(headers, self.access.cookie))


def is_open(path: str) -> bool:
    """Whether what is at `path` holds nothing of the user's: scripts, styles, and the way in."""
    return path.startswith("/static/") or path == "/enter"


def foreign(headers: Headers, method: str) -> bool:
    """Whether a request comes from another origin; opening a page by a link elsewhere is no such thing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and origin.lower() != f"http://{headers.get('host', '')}".lower():
        return True
    opening = method in SAFE and headers.get("sec-fetch-mode") == "navigate"
    return site not in ("none", "same-origin") and not opening


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _cookie(headers: Headers, name: str) -> str | None:
    for header in headers.getlist("cookie"):
        found = cookie_parser(header).get(name)
        if found is not None:
            return found
    return None


def _secured(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
