"""uvicorn with ASGI's zero copy send: the kernel moves a file from its page cache to the socket.

The extension `http.response.zerocopysend` as the ASGI specification has it: an event of that type with `file`
(a descriptor), `offset` and `count` (bytes), between `http.response.start` and the body that ends the answer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from worker.sending import ZERO_COPY

AT_ONCE: Final = 1024 * 1024  # bytes given to the kernel before others have their turn
PATIENCE: Final = 60.0  # seconds in which a client takes nothing at all

Application = Callable[..., Awaitable[None]]


class ZeroCopy(HttpToolsProtocol):
    """Serves one connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: asyncio.Future[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and whoever waits for the client with it."""
        super().connection_lost(exc)
        if self._waiting is not None:
            _finish(self._waiting)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope.setdefault("extensions", {})[ZERO_COPY] = {}

        async def extended(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == ZERO_COPY:
                    await self._send_file(cycle, message)
                else:
                    await send(message)

            await app(scope, receive, sending)

        super()._start_asgi_task(cycle, extended)

    async def _send_file(self, cycle: RequestResponseCycle, message: Any) -> None:
        position, left = message["offset"], message["count"]
        if left > cycle.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        await self._emptied(cycle.flow)
        socket = os.dup(self.transport.get_extra_info("socket").fileno())  # uvloop watches its own itself
        try:
            while left and not cycle.disconnected:
                sent = await self._give(socket, message["file"], position, min(left, AT_ONCE))
                position, left = position + sent, left - sent
                cycle.expected_content_length -= sent
        finally:
            os.close(socket)

    async def _emptied(self, flow: FlowControl) -> None:
        """Wait until what was written before is with the kernel."""
        self.transport.set_write_buffer_limits(high=0)  # so that `drain` means empty
        if flow.write_paused:
            await flow.drain()
        self.transport.set_write_buffer_limits()

    async def _give(self, socket: int, file: int, position: int, count: int) -> int:
        """Hand bytes to the kernel; give how many it took, 0 if it had no room and now may have."""
        try:
            sent = os.sendfile(socket, file, position, count)
        except BlockingIOError:
            await self._writable(socket)
            return 0
        except (BrokenPipeError, ConnectionError):
            self.transport.abort()
            await asyncio.sleep(0)
            return 0
        if not sent:
            self.transport.abort()
            raise EOFError("the file has become shorter while it was sent")
        if sent < count:  # there is no room for more: asking again would only say so
            await self._writable(socket)
        else:
            await asyncio.sleep(0)
        return sent

    async def _writable(self, socket: int) -> None:
        self._waiting = waiting = self.loop.create_future()
        self.loop.add_writer(socket, _finish, waiting)
        try:
            async with asyncio.timeout(PATIENCE):
                await waiting
        except TimeoutError:
            self.transport.abort()
        finally:
            self.loop.remove_writer(socket)
            self._waiting = None


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
