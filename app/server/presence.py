"""Notice that a client has gone, and stop working for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.openai.errors import ApiError

T = TypeVar("T")
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def client_left() -> ApiError:
    """Make the answer to nobody; 499 is nginx's status for it, and only a log will see it."""
    return ApiError(499, "The client has left.", code="client_left")


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, or cancel it and raise `client_left` if the client hangs up; the body must be read."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise client_left()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await working


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class EventStream(StreamingResponse):
    """Server-sent events from a generator that is closed however the response ends."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=SSE_HEADERS)
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until they end or the client leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.events.aclose()
