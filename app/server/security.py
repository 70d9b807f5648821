"""The door: who may talk to a server that any program here, and any web page in a browser here, can reach.

A web page can make the browser send requests here, straight (cross-origin) or by pointing a name of its own
at 127.0.0.1 (DNS rebinding). So the Host must be a loopback name, an Origin must be the server's own or a
configured one, and a cross-site request is refused even without an Origin. Command-line clients and editors
send none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.openai.errors import ApiError
from app.server.answers import error_response
from app.server.listening import is_loopback
from app.server.protocol import MAX_HEAD, head_too_big
from app.server.visits import Visit, Watchers, visiting

MAX_BODY = 64 * 1024 * 1024
METHODS = "GET, HEAD, POST, DELETE, OPTIONS"


def host_name(header: str) -> str:
    """Take the name out of a Host header: `localhost:8787`, `[::1]:8787`."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def refusal(headers: Mapping[str, str], *, origins: Collection[str]) -> ApiError | None:
    """Say why a request with `headers` (lower-case names) is refused, or None; `origins` are let in."""
    if not is_loopback(host_name(headers.get("host", ""))):
        return ApiError(403, "This server answers on loopback names only.", code="forbidden_host")
    origin = headers.get("origin")
    if origin is not None and not _own(origin, headers["host"]) and origin not in origins:
        return ApiError(403, "Requests from other web origins are refused.", code="forbidden_origin")
    foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if origin is None and foreign and headers.get("sec-fetch-mode") != "navigate":
        return ApiError(403, "Requests from other web sites are refused.", code="forbidden_origin")
    return None


def _own(origin: str, host: str) -> bool:
    return origin.lower() == f"http://{host}".lower()


class Door:
    """ASGI middleware: refuses what `refusal` names, bounds requests, answers OPTIONS with 204, logs."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Callable[[], Collection[str]] = tuple,
        watchers: Watchers | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        """Guard `app`; `origins` gives the web origins to let in, which may change."""
        self.app = app
        self.origins = origins
        self.watchers = watchers or Watchers()
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        error = refusal(headers, origins=self.origins()) or self._too_big(scope, headers)
        with visiting(scope, headers.get("user-agent", ""), self.watchers) as visit:
            if error is not None:
                response = error_response(error, {"connection": "close"})
                await response(scope, receive, _marked(send, visit, []))
                return
            extra = _cors(headers)
            if scope["method"] == "OPTIONS":
                await _no_content(_marked(send, visit, extra))
            else:
                await self.app(scope, self._bounded(receive), _marked(send, visit, extra))

    def _too_big(self, scope: Scope, headers: Mapping[str, str]) -> ApiError | None:
        line = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if line + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
            return head_too_big()
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= self.max_body:
            return None
        return too_big(self.max_body)

    def _bounded(self, receive: Receive) -> Receive:
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body:
                raise too_big(self.max_body)
            return message

        return bounded


def _headers(scope: Scope) -> dict[str, str]:
    """Give the headers by name, the first of each; looking each of them up in the list takes longer."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _cors(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Give the headers that let the page of an origin that was let in read the answer."""
    origin = headers.get("origin")
    if origin is None:
        return []
    asked = headers.get("access-control-request-headers", "authorization, content-type")
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", asked.encode("latin-1")),
        (b"access-control-expose-headers", b"x-request-id"),
        (b"vary", b"Origin"),
    ]


def _marked(send: Send, visit: Visit, extra: list[tuple[bytes, bytes]]) -> Send:
    """Add the request's id and `extra` to the answer's headers, and note its status."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            visit.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", visit.id.encode()), *extra]
        elif message.get("body"):
            visit.answering()
        await send(message)

    return sending


def too_big(limit: int) -> ApiError:
    """Refuse a body over `limit` bytes."""
    return ApiError(
        413, f"The request body is longer than {limit // (1024 * 1024)} MB.", code="body_too_large"
    )


async def _no_content(send: Send) -> None:
    allow = (b"allow", METHODS.encode())
    await send({"type": "http.response.start", "status": 204, "headers": [allow]})
    await send({"type": "http.response.body", "body": b""})
