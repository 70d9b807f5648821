"""Clients that dawdle, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from app.server import protocol
from app.server.build import build
from app.server.listening import Address
from app.server.protocol import Patient
from app.settings import Settings
from tests.app.conftest import Done, ScriptedBridge, Text

pytestmark = pytest.mark.anyio


class Hasty(Patient):
    head_timeout = 0.3
    body_timeout = 0.3
    stall_timeout = 0.3


@contextlib.asynccontextmanager
async def serving(settings: Settings, *script: Any) -> AsyncIterator[int]:
    bridge = ScriptedBridge(settings, *((script,) if script else ()))
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        application = build(settings, Address("127.0.0.1", port), bridge)
        config = uvicorn.Config(application, http=Hasty, log_config=None, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True
            await task


async def exchange(port: int, *pieces: bytes, pause: float = 0.01) -> bytes:
    """Send pieces while reading, until the server hangs up or nothing came for a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = bytearray()

    async def listen() -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while data := await asyncio.wait_for(reader.read(65_536), 1):
                heard.extend(data)

    listening = asyncio.create_task(listen())
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    await listening
    writer.close()
    return bytes(heard)


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def test_a_silent_connection_is_closed(settings: Settings) -> None:
    async with serving(settings) as port:
        assert await asyncio.wait_for(exchange(port), 0.9) == b""


async def test_headers_that_trickle_are_given_up(settings: Settings) -> None:
    async with serving(settings) as port:
        answer = await exchange(port, *(b"GET /v1/models HTTP/1.1\r\n", *[b"a: b\r\n"] * 8), pause=0.1)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert code(answer) == "request_timeout"


async def test_a_body_that_does_not_come_is_given_up(settings: Settings) -> None:
    async with serving(settings) as port:
        answer = await exchange(port, HEAD + b"Content-Length: 100\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_long_headers_are_refused_whether_they_end_or_not(settings: Settings) -> None:
    async with serving(settings) as port:
        line = b"x-filler: " + b"y" * 8000 + b"\r\n"
        endless = await exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n", *[line] * 12)
        assert endless.startswith(b"HTTP/1.1 431 ")
        ending = await exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 9 + b"\r\n")
        assert ending.startswith(b"HTTP/1.1 431 ")
        url = b"GET /" + b"z" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert code(await exchange(port, url)) == "invalid_request_error"
        fine = await exchange(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 5 + b"\r\n")
        assert fine.startswith(b"HTTP/1.1 200 ")


async def test_what_is_not_http_is_refused(settings: Settings) -> None:
    async with serving(settings) as port:
        assert code(await exchange(port, b"\x16\x03\x01 hello\r\n\r\n")) == "invalid_request_error"


async def test_a_connection_is_kept_between_requests(settings: Settings) -> None:
    async with serving(settings) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            body = b'{"messages":[{"role":"user","content":"hi"}]}'
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            await asyncio.sleep(0.4)  # longer than any of the timeouts
        writer.close()


async def test_a_client_that_does_not_read_is_dropped(settings: Settings) -> None:
    closed = asyncio.Event()

    class Endless(ScriptedBridge):
        async def run(self, prompt: Any) -> Any:
            try:
                while True:
                    yield Text(1, "x" * 65_536)
                    await asyncio.sleep(0)
            finally:
                closed.set()

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        application = build(settings, Address("127.0.0.1", port), Endless(settings))
        server = uvicorn.Server(uvicorn.Config(application, http=Hasty, log_config=None, ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        body = b'{"stream":true,"messages":[{"role":"user","content":"hi"}]}'
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.wait_for(closed.wait(), 5)
        writer.close()
        server.should_exit = True
        await task


async def test_deltas_leave_one_by_one(settings: Settings) -> None:
    gate = asyncio.Event()

    class Gated(ScriptedBridge):
        async def run(self, prompt: Any) -> Any:
            yield Text(1, "one")
            await gate.wait()
            yield Text(1, "two")
            yield Done(1)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        application = build(settings, Address("127.0.0.1", port), Gated(settings))
        server = uvicorn.Server(uvicorn.Config(application, http=Patient, log_config=None, ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"stream":true,"messages":[{"role":"user","content":"hi"}]}'
        writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.wait_for(reader.readuntil(b'"content":"one"'), 2)
        gate.set()
        assert b"[DONE]" in await asyncio.wait_for(reader.read(), 2)
        writer.close()
        server.should_exit = True
        await task


def test_the_bounds_are_sane() -> None:
    assert protocol.HEAD_TIMEOUT < protocol.BODY_TIMEOUT
