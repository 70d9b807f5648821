"""uvicorn with two extensions of ASGI: files that the kernel sends, and small answers that are kept.

`http.response.zerocopysend` as ASGI's specification has it: an event of that type with `file`, a descriptor,
with `offset` and `count` in bytes, between `http.response.start` and the body that ends the answer.

AGAIN, ours, is the server's Keep: an answer that was handed to it is given again without a task, without the
application and without putting its head together. That is most of what a small answer costs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from worker.sending import AGAIN, ZERO_COPY, Holds

AT_ONCE: Final = 1024 * 1024  # bytes given to the kernel before others have their turn
PATIENCE: Final = 60.0
"""Seconds in which a client takes nothing at all; noticed after twice that at the latest."""

KEPT: Final = 64  # answers
OK: Final = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that may be given again: what follows its status line and the server's own headers."""

    holds: Holds
    rest: bytes


Target = tuple[bytes, bytes, bytes]


class ZeroCopy(HttpToolsProtocol):
    """Serves one connection; all of a server's share `kept`."""

    def __init__(self, *arguments: Any, kept: dict[Target, Kept], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._kept = kept
        self._transfer: Transfer | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and what is on its way to the client with it."""
        super().connection_lost(exc)
        if self._transfer is not None:
            self._transfer.end()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self._sent_again(cycle):
            self._start_application(cycle, app)

    def _sent_again(self, cycle: RequestResponseCycle) -> bool:
        """Give an answer again if it is kept and still holds.

        Not to a client that does not read, or that has asked on before it was answered: those wait in order.
        """
        if self.pipeline or self.flow.write_paused or not cycle.keep_alive:
            return False
        kept = self._kept.get(_target(cycle.scope))
        if kept is None or not kept.holds(cast(Scope, cycle.scope)):
            return False
        self.transport.write(b"".join((OK, _lines(cycle.default_headers), kept.rest)))
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()
        return True

    def _keep(self, scope: Any, holds: Holds, start: Any, body: bytes) -> None:
        """Keep an answer whose status is 200; see worker.sending.Keep."""
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[_target(scope)] = Kept(holds, _lines(start["headers"]) + b"\r\n" + body)

    def _start_application(self, cycle: RequestResponseCycle, app: Any) -> None:
        cast(Scope, cycle.scope)["extensions"] = {ZERO_COPY: {}, AGAIN: self._keep}

        async def extended(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == ZERO_COPY:
                    await self._send_file(cycle, message)
                else:
                    await send(message)

            await app(scope, receive, sending)

        super()._start_asgi_task(cycle, extended)

    async def _send_file(self, cycle: RequestResponseCycle, message: Any) -> None:
        start, count = message["offset"], message["count"]
        if count > cycle.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        await self._emptied(cycle.flow)
        if cycle.disconnected or not count:
            return
        transfer = Transfer(self.loop, self.transport, message["file"], start, start + count)
        self._transfer = transfer
        try:
            cycle.expected_content_length -= await transfer.run()
        finally:
            self._transfer = None

    async def _emptied(self, flow: FlowControl) -> None:
        """Wait until what was written before is with the kernel."""
        self.transport.set_write_buffer_limits(high=0)  # so that `drain` means empty
        if flow.write_paused:
            await flow.drain()
        self.transport.set_write_buffer_limits()


def _target(scope: Any) -> Target:
    """Give what a request is for: host, path and query as they came."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return host, scope["raw_path"], scope["query_string"]


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Transfer:
    """A file on its way to one client: the loop tells of room in the socket, the kernel moves bytes.

    No task wakes for it and no timer is set for a single piece: that costs more than the moving.
    """

    __slots__ = ("_done", "_end", "_file", "_loop", "_position", "_socket", "_start", "_transport", "_watch")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, file: int, start: int, end: int
    ) -> None:
        """Keep what is to be sent: bytes `start` up to `end` of the descriptor `file`, at least one."""
        self._loop, self._transport, self._file = loop, transport, file
        self._start = self._position = start
        self._end = end
        self._done: asyncio.Future[None] = loop.create_future()

    async def run(self) -> int:
        """Send all; return how many bytes went, fewer if the client left. EOFError: the file got shorter."""
        # A descriptor of our own: uvloop watches the transport's itself.
        self._socket = os.dup(self._transport.get_extra_info("socket").fileno())
        self._loop.add_writer(self._socket, self._give)
        self._watch = self._loop.call_later(PATIENCE, self._look, self._position)
        try:
            await self._done
        finally:
            self._watch.cancel()
            self._loop.remove_writer(self._socket)
            os.close(self._socket)
        return self._position - self._start

    def end(self) -> None:
        """Leave it: the client is gone, or all of it is with the kernel."""
        if not self._done.done():
            self._done.set_result(None)

    def _give(self) -> None:
        """Hand the kernel what it has room for, and no more than AT_ONCE: others want their turn."""
        if self._done.done():
            return
        try:
            count = min(self._end - self._position, AT_ONCE)
            sent = os.sendfile(self._socket, self._file, self._position, count)
        except BlockingIOError:
            return
        except OSError:  # the client is gone, or the disk can't be read: either way the answer ends here
            self._abort()
            return
        if not sent:
            self._transport.abort()
            self._done.set_exception(EOFError("the file has become shorter while it was sent"))
            return
        self._position += sent
        if self._position == self._end:
            self.end()

    def _look(self, before: int) -> None:
        """End it if the client has taken nothing since `before`."""
        if self._position == before:
            self._abort()
        else:
            self._watch = self._loop.call_later(PATIENCE, self._look, self._position)

    def _abort(self) -> None:
        self._transport.abort()
        self.end()
