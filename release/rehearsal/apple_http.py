"""The small HTTP server under the local stand-in for Apple: one port, a thread per connection.

A request's body stays a stream: uploads of a hundred megabytes go to disk without passing through memory.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, ClassVar
from uuid import uuid4

PIECE = 1 << 20
SMALL = 8 << 20  # no body but an upload's is longer


class Body:
    """What is still to be read of a request's body."""

    def __init__(self, stream: BufferedIOBase, length: int) -> None:
        """Begin at the first of `length` bytes."""
        self._stream = stream
        self.left = length

    def pieces(self) -> Iterator[bytes]:
        """Read to the end in pieces; fewer bytes than announced raise ConnectionError."""
        while self.left:
            piece = self._stream.read(min(PIECE, self.left))
            if not piece:
                self.left = 0
                raise ConnectionError("the body ended early")
            self.left -= len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the path as it was sent (still quoted), header names in lower case, the body unread."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    length: int
    stream: Body

    def body(self) -> bytes:
        """Read a small body whole."""
        if self.length > SMALL:
            raise ConnectionError("a body too long for this address")
        return b"".join(self.stream.pieces())


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `cut` ends the connection without any."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


def as_json(value: object, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(status, json.dumps(value).encode())


def failure(status: int, code: str, detail: str) -> Response:
    """Return an error shaped as App Store Connect shapes them."""
    error = {"id": str(uuid4()), "status": str(status), "code": code, "title": code, "detail": detail}
    return as_json({"errors": [error]}, status)


Answer = Callable[[Request], Response]


class Server:
    """An HTTP server on a free loopback port; `answer` is called from many threads."""

    def __init__(self, answer: Answer) -> None:
        """Bind and start serving in a thread of its own."""
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection: kept-alive ones would outlive the server."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End what clients have kept open."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet: a client that goes away in the middle is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    answer: ClassVar[Answer]
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body leave in one packet, else every answer costs a delayed ACK
    timeout = 300

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the pipeline owns the terminal."""

    def _serve(self) -> None:
        request = self._request()
        response = type(self).answer(request)
        if response.cut:
            self.close_connection = True
            return
        for _ in request.stream.pieces():
            pass  # a client that is still sending would take an early end for a lost connection
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length") or 0)
        return Request(self.command, path, query, headers, length, Body(self.rfile, length))

    do_GET = do_POST = do_PUT = do_HEAD = _serve
