"""Notice that a client has gone, and stop working for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.openai.errors import ApiError
from app.server.answers import client_left
from app.server.visits import note

T = TypeVar("T")
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, or cancel it and raise `client_left` if the client hangs up; the body must be read."""
    async with Presence(request.receive):
        return await work


class Presence:
    """A block that is cancelled when the client hangs up, and then raises `client_left`.

    It costs one task; the work itself stays in the task that it is in.
    """

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.left = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.watching = asyncio.create_task(self._watch())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.watching.cancel()
        if self.left:
            self.task.uncancel()
            if kind is asyncio.CancelledError:
                raise client_left() from None

    async def _watch(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self.task.cancel()


class EventStream(Response):
    """Server-sent events from a generator that is closed however the response ends."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers=SSE_HEADERS)
        del self.headers["content-length"]
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client leaves."""
        async with contextlib.aclosing(self.events):
            try:
                async with Presence(receive):
                    await self._send(send)
            except ApiError as left:  # it could only be that the client has left
                note(Request(scope), error=left.code)

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        async for event in self.events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
