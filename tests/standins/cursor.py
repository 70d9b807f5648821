"""A stand-in for Cursor's backend that the unmodified SDK talks to: Connect over HTTP/1.1 or HTTP/2.

The SDK sends its side of a run through unary BidiAppend calls and reads the other side from RunSSE.
What is played is chosen by the prompt: see cursor_scenarios. In a test:

    with CursorStandIn() as cursor:
        ...CURSOR_BACKEND_URL=cursor.url...
        assert cursor.runs[0].prompt == ...

or alone: `python -m tests.standins.cursor --port 0 --tls FILE` prints its URLs. A key with "bad"
in it is refused; with "busy" in it the key exchange answers 503.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.standins import cursor_agents as cursor_agents  # its scenarios
from tests.standins import cursor_messages as agent
from tests.standins import cursor_wire as wire
from tests.standins.cursor_kinds import Kind
from tests.standins.cursor_scenarios import REPLY_TIMEOUT, Arguments, Reply, Scenario, SeenRun, pick

if TYPE_CHECKING:
    from tests.standins import http2

MODELS = {
    "items": [
        {
            "id": "composer-2.5",
            "displayName": "Composer 2.5",
            "aliases": ["composer-latest", "composer"],
            "parameters": [
                {"id": "fast", "displayName": "Fast", "values": [{"value": "true"}, {"value": "false"}]}
            ],
            "variants": [
                {"params": [{"id": "fast", "value": "true"}], "displayName": "Fast", "isDefault": True},
                {"params": [{"id": "fast", "value": "false"}], "displayName": "Standard"},
            ],
        },
        {"id": "default", "displayName": "Auto"},
    ]
}
ME = {
    "apiKeyName": "test key",
    "userId": 1,
    "userEmail": "a@example.com",
    "createdAt": "2025-01-01T00:00:00Z",
}
INVALID_KEY = {"code": "unauthenticated", "message": "Invalid API key provided"}

# agent.v1.AgentClientMessage
RUN_REQUEST, EXEC_RESULT, CONVERSATION_ACTION, EXEC_CONTROL = 1, 2, 4, 5


@dataclass(frozen=True, slots=True)
class HttpError:
    status: int
    body: Mapping[str, object]


class Cut(Exception):
    """Raised inside a response to make the server drop the connection."""


Outgoing = bytes | HttpError | Cut | None  # None ends the response


@dataclass
class Channel:
    """One run's two directions. Client messages arrive numbered and possibly out of order."""

    incoming: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    outgoing: asyncio.Queue[Outgoing] = field(default_factory=asyncio.Queue)
    waiting: dict[int, bytes] = field(default_factory=dict)
    expected: int = 0

    def append(self, number: int, data: bytes) -> None:
        self.waiting[number] = data
        while self.expected in self.waiting:
            self.incoming.put_nowait(self.waiting.pop(self.expected))
            self.expected += 1


@dataclass
class Play:
    """The stage of one run (cursor_scenarios.Stage)."""

    channel: Channel
    seen: SeenRun
    base_url: str
    tally: dict[str, int]
    kinds: Sequence[Kind]
    following: dict[str, tuple[Scenario, Arguments]]
    replies: dict[int, asyncio.Queue[Reply]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def say(self, *messages: bytes) -> None:
        for message in messages:
            self.channel.outgoing.put_nowait(wire.frame(message))

    async def end(self, error: Mapping[str, object] | None = None) -> None:
        self.channel.outgoing.put_nowait(wire.end_frame(error))
        self.channel.outgoing.put_nowait(None)

    def lose(self) -> None:
        self.channel.outgoing.put_nowait(wire.end_frame(wire.connect_error("internal", "lost")))
        self.channel.outgoing.put_nowait(None)

    async def cut(self) -> None:
        await asyncio.sleep(0.05)  # what was said before gets out first
        self.channel.outgoing.put_nowait(Cut())

    async def http_error(self, status: int, body: Mapping[str, object]) -> None:
        self.channel.outgoing.put_nowait(HttpError(status, body))

    async def ask(self, kind: int, arguments: bytes, *, timeout: float = REPLY_TIMEOUT) -> Reply:
        number = next(self.numbers)
        queue = self.replies[number] = asyncio.Queue()
        await self.say(agent.execute(number, kind, arguments))
        try:
            first = await asyncio.wait_for(queue.get(), timeout)
        except TimeoutError:
            first = Reply(kind, silent=True)
        reply = Reply(kind, first.data, first.refused, first.silent)
        self.seen.replies.append(reply)
        return reply

    def follow(self, scenario: Scenario, arguments: Arguments) -> None:
        self.following[self.seen.conversation] = scenario, arguments

    async def listen(self) -> None:
        """Take in what the client says during the run."""
        while True:
            data = await self.channel.incoming.get()
            self.seen.received += data
            message = wire.decode(data)
            if EXEC_RESULT in message:
                self._reply(wire.number(wire.decode(wire.blob(message, EXEC_RESULT)), 1), Reply(0, data))
            for control in wire.messages(message, EXEC_CONTROL):
                self._control(control)
            if CONVERSATION_ACTION in message:
                self.seen.cancelled = True

    def _control(self, control: wire.Fields) -> None:
        """An execution's end (field 1) or its failure (field 2); field 3 says every 3 s that it goes on."""
        for kind in (1, 2):
            for value in control.get(kind, ()):
                inner = wire.decode(value if isinstance(value, bytes) else b"")
                refused = wire.blob(inner, 2).decode("utf-8", "replace") if kind == 2 else None
                self._reply(wire.number(inner, 1), Reply(0, refused=refused))

    def _reply(self, number: int, reply: Reply) -> None:
        if number in self.replies:
            self.replies[number].put_nowait(reply)


class Backend:
    """The backend's state and its endpoints."""

    def __init__(self) -> None:
        self.url = ""
        self.runs: list[SeenRun] = []
        self.calls: list[str] = []  # "METHOD /path" of everything
        self.probes: list[str] = []  # paths that only a client's own fetch tool would ask for
        self.tally: dict[str, int] = {}  # of scenarios that count
        self.kinds: Sequence[Kind] = ()  # what `builtin` tries: cursor_kinds.read(node_modules)
        self._channels: dict[str, Channel] = {}
        self.otherwise: str | None = None  # the mark of what is played where a prompt has none
        self._following: dict[str, tuple[Scenario, Arguments]] = {}  # by conversation

    def forget(self) -> None:
        """Let go of runs that are over, in a test of many."""
        self.runs = [run for run in self.runs if not (run.ended or run.client_left)]
        self.calls.clear()

    def app(self) -> Starlette:
        routes = [
            Route("/agent.v1.AgentService/Run", self.run_bidi, methods=["POST"]),
            Route("/agent.v1.AgentService/RunSSE", self.run_sse, methods=["POST"]),
            Route("/aiserver.v1.BidiService/BidiAppend", self.bidi_append, methods=["POST"]),
            Route("/auth/exchange_user_api_key", self.exchange, methods=["POST"]),
            Route("/v1/models", self.models),
            Route("/v1/me", self.me),
            Route("/probe/{rest:path}", self.probe),
            Route("/{rest:path}", self.other, methods=["GET", "POST"]),
        ]
        return Starlette(routes=routes)

    async def exchange(self, request: Request) -> Response:
        key = self._note(request)
        if "bad" in key:
            return JSONResponse({"error": {"message": "Invalid User API Key"}}, 401)
        if "busy" in key:
            return JSONResponse({"error": {"message": "overloaded"}}, 503)
        return JSONResponse({"accessToken": f"token-{key}", "refreshToken": f"token-{key}"})

    async def models(self, request: Request) -> Response:
        return self._keyed(request, MODELS)

    async def me(self, request: Request) -> Response:
        return self._keyed(request, ME)

    def _keyed(self, request: Request, body: Mapping[str, Any]) -> Response:
        return JSONResponse(INVALID_KEY, 401) if "bad" in self._note(request) else JSONResponse(dict(body))

    async def probe(self, request: Request) -> Response:
        self.probes.append(request.url.path)
        return Response("TOPSECRET fetched")

    async def other(self, request: Request) -> Response:
        """Any further Connect method: an empty message is a valid answer of every type."""
        self._note(request)
        if request.headers.get("content-type") == "application/proto":
            return Response(b"", media_type="application/proto")
        return JSONResponse({}) if request.method == "POST" else JSONResponse({"code": "not_found"}, 404)

    async def bidi_append(self, request: Request) -> Response:
        """BidiAppendRequest {data (hex) = 1, request_id = 2 {1}, append_seqno = 3, data_binary = 4}."""
        self._note(request)
        message = wire.decode(await request.body())
        data = wire.blob(message, 4) or bytes.fromhex(wire.text(message, 1))
        self._channel(wire.text(message, 2, 1)).append(wire.number(message, 3), data)
        return Response(b"", media_type="application/proto")

    async def run_sse(self, request: Request) -> Response:
        key = self._note(request).removeprefix("token-")
        (envelope,) = wire.frames(await request.body())
        return await self._answer(self._channel(wire.text(wire.decode(envelope), 1)), key, [])

    async def run_bidi(self, request: Request) -> Response:
        """The same over HTTP/2, where both directions are one stream."""
        key = self._note(request).removeprefix("token-")
        channel = Channel()
        return await self._answer(channel, key, [asyncio.create_task(_take_frames(request, channel))])

    async def _answer(self, channel: Channel, key: str, tasks: list[asyncio.Task[None]]) -> Response:
        seen = _describe(await asyncio.wait_for(channel.incoming.get(), 10), key)
        self.runs.append(seen)
        tasks += self._play(Play(channel, seen, self.url, self.tally, self.kinds, self._following))
        first = await channel.outgoing.get()
        if isinstance(first, HttpError):
            _stop(tasks)
            return JSONResponse(dict(first.body), first.status)
        body = _stream(first, channel, seen, tasks)
        return StreamingResponse(body, media_type="application/connect+proto")

    def _play(self, play: Play) -> list[asyncio.Task[None]]:
        followed = self._following.pop(play.seen.conversation, None)
        scenario, arguments = followed or pick(play.seen.prompt, self.otherwise)

        async def act() -> None:
            try:
                await scenario(play, arguments)
            except Exception as error:
                await play.end(wire.connect_error("internal", f"the scenario failed: {error!r}"))

        return [asyncio.create_task(act()), asyncio.create_task(play.listen())]

    def _channel(self, request_id: str) -> Channel:
        return self._channels.setdefault(request_id, Channel())

    def _note(self, request: Request) -> str:
        self.calls.append(f"{request.method} {request.url.path}")
        return request.headers.get("authorization", "").removeprefix("Bearer ")


async def _take_frames(request: Request, channel: Channel) -> None:
    kept = b""
    with contextlib.suppress(ClientDisconnect):
        async for chunk in request.stream():
            kept += chunk
            while len(kept) >= 5 and len(kept) >= (end := 5 + int.from_bytes(kept[1:5], "big")):
                channel.incoming.put_nowait(kept[5:end])
                kept = kept[end:]


async def _stream(
    first: Outgoing, channel: Channel, seen: SeenRun, tasks: list[asyncio.Task[None]]
) -> AsyncIterator[bytes]:
    item = first
    try:
        while isinstance(item, bytes):
            yield item
            item = await channel.outgoing.get()
        if isinstance(item, Cut):
            raise item
        seen.ended = True
    finally:
        seen.client_left = not seen.ended and not isinstance(item, Cut)
        _stop(tasks)


def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


def _describe(data: bytes, key: str) -> SeenRun:
    """Read an AgentRunRequest {action = 2 {user_message_action = 1 {user_message = 1}}, tools = 4, 9}."""
    request = wire.decode(wire.blob(wire.decode(data), RUN_REQUEST))
    message = wire.decode(wire.blob(request, 2, 1, 1))
    model = wire.decode(wire.blob(request, 9))
    images = wire.messages(wire.decode(wire.blob(message, 3)), 1)
    tools = wire.messages(wire.decode(wire.blob(request, 4)), 1)
    return SeenRun(
        prompt=wire.text(message, 1),
        model=wire.text(model, 1),
        params={wire.text(param, 1): wire.text(param, 2) for param in wire.messages(model, 3)},
        key=key,
        state=len(wire.blob(request, 1)),
        conversation=wire.text(request, 5),
        images=tuple(_picture(image) for image in images),
        tools=tuple(wire.text(tool, 1) for tool in tools),
        offered={wire.text(tool, 5): _parameters(wire.blob(tool, 3)) for tool in tools},
        received=bytearray(data),
    )


def _parameters(schema: bytes) -> tuple[str, ...]:
    return tuple(wire.members(wire.members(schema).get("properties", b"")))


def _picture(image: wire.Fields) -> bytes:
    """The picture itself, which stands beside ids, a path and a type."""
    values = [value for values in image.values() for value in values if isinstance(value, bytes)]
    return next((value for value in values if value.startswith((b"\x89PNG", b"\xff\xd8"))), b"")


class CursorStandIn:
    """The backend in a thread of its own, on a free port.

    With `pem` (http2.certificate) it is also at `secure_url`, over TLS, where clients may choose HTTP/2.
    """

    def __init__(self, *, port: int = 0, secure_port: int = 0, pem: Path | None = None) -> None:
        self.backend = Backend()
        self._socket = socket.create_server(("127.0.0.1", port))
        # asyncio does this only for sockets whose protocol was named; without it an answer can wait for 40 ms
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = self.backend.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._app = self.backend.app()
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                log_config=None,
                access_log=False,
                log_level="critical",
                lifespan="off",
                timeout_keep_alive=75,  # its own 5 s are the SDK's heartbeat, which would meet a closed end
                timeout_graceful_shutdown=1,
            )
        )
        self._secure = None if pem is None else self._secured(pem, secure_port)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def _secured(self, pem: Path, port: int) -> http2.Server:
        from tests.standins import http2  # needs the h2 library, which only this does

        listener = socket.create_server(("127.0.0.1", port))
        self.secure_url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        return http2.Server(self._app, listener, pem, self._socket.getsockname()[1])

    async def _serve(self) -> None:
        """Serve both ways in from one event loop, for the backend they share."""
        secure = None if self._secure is None else asyncio.create_task(self._secure.serve())
        await self._server.serve([self._socket])
        if secure is not None:
            secure.cancel()

    @property
    def http2_requests(self) -> int:
        return 0 if self._secure is None else self._secure.requests

    @property
    def runs(self) -> list[SeenRun]:
        return self.backend.runs

    @property
    def calls(self) -> list[str]:
        return self.backend.calls

    @property
    def probes(self) -> list[str]:
        return self.backend.probes

    def __enter__(self) -> CursorStandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standins.cursor", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument(
        "--tls", type=Path, metavar="PEM", help="also over TLS and HTTP/2; the certificate is made if absent"
    )
    parser.add_argument("--tls-port", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.tls is not None and not arguments.tls.exists():
        from tests.standins import http2

        http2.certificate(arguments.tls)
    with CursorStandIn(port=arguments.port, secure_port=arguments.tls_port, pem=arguments.tls) as cursor:
        sys.stdout.write(cursor.url + "\n")
        if arguments.tls is not None:
            sys.stdout.write(cursor.secure_url + "\n")
        sys.stdout.flush()
        try:
            cursor._thread.join()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
