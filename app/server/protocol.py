"""uvicorn's HTTP with bounds on patience: clients that send their request, or read the answer, too slowly."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.openai.errors import INVALID, ApiError

HEAD_TIMEOUT = (
    10.0  # seconds from a connection's first moment, or a request's first byte, to the end of headers
)
BODY_TIMEOUT = 120.0  # seconds for the body after that; 64 MB take one
STALL_TIMEOUT = 60.0  # seconds in which a client takes nothing of what waits for it
MAX_HEAD = 65_536  # bytes of request line and headers
REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


def head_too_big() -> ApiError:
    """Refuse a request whose headers are too long: 431."""
    return ApiError(431, f"The request's headers are longer than {MAX_HEAD} bytes.", code=INVALID)


def too_slow() -> ApiError:
    """Give up on a request that does not come: 408."""
    return ApiError(408, "The request took too long to arrive.", code="request_timeout")


class Patient(HttpToolsProtocol):
    """Serves one connection, with one timer that runs while the client has to send."""

    head_timeout = HEAD_TIMEOUT
    body_timeout = BODY_TIMEOUT
    stall_timeout = STALL_TIMEOUT

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request soon."""
        super().connection_made(transport)
        self._wait(self.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._wait(None)
        self._stop_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; headers that don't end are refused."""
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse(head_too_big())

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP in the same form as everything else."""
        self._refuse(ApiError(400, "This is not a valid HTTP request.", code=INVALID))

    def on_message_begin(self) -> None:
        """Expect the headers to end soon."""
        super().on_message_begin()
        if not self._in_head:
            self._in_head, self._head = True, 0
            self._wait(self.head_timeout)

    def on_headers_complete(self) -> None:
        """Expect the body to end in time, unless an earlier answer on this connection holds it up."""
        self._in_head = False
        self._wait(None)
        super().on_headers_complete()
        if not self.pipeline:
            self._wait(self.body_timeout)

    def on_message_complete(self) -> None:
        """Have all there is to wait for."""
        self._wait(None)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Note that the client does not keep up."""
        super().pause_writing()
        self._stop_stall()
        self._stalled = self.loop.call_later(self.stall_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it does again."""
        self._stop_stall()
        super().resume_writing()

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        elif not self._head:
            self.transport.close()  # it never began
        else:
            self._refuse(too_slow())

    def _refuse(self, error: ApiError) -> None:
        body = msgspec.json.encode(error.body())
        head = (
            f"HTTP/1.1 {error.status} {REASONS[error.status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _stop_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
