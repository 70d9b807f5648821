"""The endpoints under /v1 and /u/{account}/v1: the app's own, with another bridge and key behind them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.keychain import Held
from app.openai.errors import ApiError
from app.server.answers import error_response
from app.server.asking import SESSION_HEADERS, session_of
from app.server.chat import create_completion, create_old_completion
from app.server.models import get_model, list_models
from app.server.responses import (
    answer_kept,
    cancel_response,
    count,
    create_response,
    list_input_items,
)
from app.server.store import Responses
from app.server.visits import KEY as VISIT
from app.server.visits import Visit, Watchers
from worker import limits
from worker.hosted import sessions
from worker.hosted.auth import Caller, caller, touch
from worker.hosted.bridge import RemoteBridge
from worker.hosted.logs import log
from worker.hosts.settings import number
from worker.ports import Ports
from worker.requests import client_of, ports_of

Endpoint = Callable[[Request], Awaitable[Response]]

MOST_BODY: Final = 20 * 1024 * 1024  # bytes; pictures come in it
MOST_OWNERS: Final = 64  # whose responses are kept in memory, as long as this process lives
A_MINUTE: Final = 60  # requests of one owner's


@dataclass(frozen=True, slots=True)
class FixedKey:
    """The key that this request is answered with, where the app has its keychain."""

    held: Held

    async def current(self) -> Held:
        """Give it."""
        return self.held


@dataclass(frozen=True, slots=True)
class Served:
    """What the app's endpoints need of a server (app.server.state.State)."""

    bridge: RemoteBridge
    keys: FixedKey
    responses: Responses
    settings: Any = field(default_factory=lambda: SimpleNamespace(responses_tools=False))


class Kept:
    """Responses by owner: nobody can go on from another's."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, Responses] = OrderedDict()

    def of(self, owner: str) -> Responses:
        """Give an owner's responses; whoever was away longest is forgotten."""
        mine = self._by_owner.setdefault(owner, Responses(most=64, most_bytes=8 * 1024 * 1024))
        self._by_owner.move_to_end(owner)
        while len(self._by_owner) > MOST_OWNERS:
            self._by_owner.popitem(last=False)
        return mine


_kept: Final = Kept()


def hosted(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Put an endpoint of the app's behind a token: who asks, how often, and what became of it."""

    async def handle(request: Request) -> Response:
        ports = ports_of(request)
        who = await caller(request)
        most = number(ports.settings, "HOSTED_REQUESTS_A_MINUTE", A_MINUTE)
        if who.account is None:  # any text may be a Cursor key: bound what one address can try
            await limits.require(ports, f"api-address:{client_of(request)}", most=5 * most, seconds=60)
        await limits.require(ports, f"api:{who.owner}", most=most, seconds=60)
        await touch(ports, who)
        visit = Visit(request.method, request.url.path[:100], "", Watchers())
        inner = await _inner(request, who, visit)
        try:
            response = await endpoint(inner)
        except ApiError as error:
            visit.notes["error"] = error.code
            response = error_response(error)
        return Logged(response, ports, who, visit)

    return handle


async def _inner(request: Request, who: Caller, visit: Visit) -> Request:
    """Make the request that the app's endpoint sees: with a server, and the bridge's name for its session."""
    ports = ports_of(request)
    key = FixedKey(Held("present", who.cursor_key, "this request", None))
    served = Served(RemoteBridge(ports), key, _kept.of(who.owner))
    headers = [pair for pair in request.scope["headers"] if pair[0] not in SESSION_HEADERS]
    session = session_of(request)
    if session:
        agent = await sessions.resume(ports, who.owner, session)
        headers.append((SESSION_HEADERS[0], agent.encode()))
    app = SimpleNamespace(state=SimpleNamespace(server=served))
    scope = {**request.scope, "app": app, "headers": headers, VISIT: visit}
    return Request(scope, _bounded(request.receive))


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MOST_BODY:
            raise ApiError(413, f"The request body is longer than {MOST_BODY} bytes", code="body_too_large")
        return message

    return bounded


class Logged(Response):
    """A response of the app's, logged when its last byte is sent or its client has left."""

    def __init__(self, response: Response, ports: Ports, who: Caller, visit: Visit) -> None:
        self.response, self.ports, self.who, self.visit = response, ports, who, visit
        self.status_code = response.status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        self.visit.status = self.status_code
        self.response.headers["access-control-allow-origin"] = "*"
        try:
            await self.response({**scope, VISIT: self.visit}, receive, send)
        finally:
            await log(self.ports, self.who, self.visit)


def routes(prefix: str) -> list[Route]:
    """Give the API's routes under a prefix."""
    table: list[tuple[str, list[str], Endpoint]] = [
        ("/models", ["GET"], list_models),
        ("/models/{id:path}", ["GET"], get_model),
        ("/chat/completions", ["POST"], create_completion),
        ("/completions", ["POST"], create_old_completion),
        ("/responses", ["POST"], create_response),
        ("/responses/input_tokens", ["POST"], count),
        ("/responses/{id}", ["GET", "DELETE"], answer_kept),
        ("/responses/{id}/input_items", ["GET"], list_input_items),
        ("/responses/{id}/cancel", ["POST"], cancel_response),
    ]
    return [Route(prefix + path, hosted(endpoint), methods=methods) for path, methods, endpoint in table]
