"""A proxy before a real S3 server that fails on purpose, request by request.

What it does to a request is told by a script, a function that is handed the request and may pass it on to the
server, or not; answer what the server said, something else, or nothing at all: then the connection is cut.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, Self
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "date", "server"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def with_header(self, name: str, value: str) -> Answer:
        """The same answer with one header replaced."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*others, (name, value)))


class Readable(Protocol):
    """What a request's body comes from."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class Request:
    """One request; `number` counts from 0. Its body is read when it is passed on, or not at all."""

    number: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    stream: Readable
    left: int
    upstream: str
    body: bytearray = field(default_factory=bytearray)

    def read(self, size: int) -> None:
        """Read as much more of the body."""
        more = self.stream.read(min(size, self.left))
        self.body += more
        self.left -= len(more)

    def forward(self) -> Answer:
        """Pass it on and return what the server answers."""
        self.read(self.left)
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers:
                if name.lower() not in HOP:
                    connection.putheader(name, value)
            connection.endheaders(bytes(self.body) or None)
            got = connection.getresponse()
            kept = tuple(pair for pair in got.getheaders() if pair[0].lower() not in HOP)
            return Answer(got.status, kept, got.read())
        finally:
            connection.close()


Script = Callable[[Request], Answer | None]


def honest(request: Request) -> Answer | None:
    """Pass everything on."""
    return request.forward()


def refusal(status: int, code: str, **headers: str) -> Script:
    """Answer with an error of S3's, the request unseen by the server."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"

    def script(request: Request) -> Answer | None:
        request.read(request.left)
        kinds = (("Content-Type", "application/xml"), *headers.items())
        return Answer(status, kinds, b"" if request.method == "HEAD" else text.encode())

    return script


def cut(request: Request) -> Answer | None:
    """Cut the connection in the middle of the body."""
    request.read(request.left // 2)
    return None


def lose_answer(request: Request) -> Answer | None:
    """Let the server do it, and cut the connection before the answer."""
    request.forward()
    return None


def wrong_etag(request: Request) -> Answer | None:
    """Answer with an etag that is not the object's."""
    answer = request.forward()
    return answer.with_header("ETag", '"00000000000000000000000000000000"')


class Faulty:
    """A context manager: the proxy runs inside `with`, `script` may be changed at any time."""

    def __init__(self, upstream: str, script: Script = honest) -> None:
        self.script = script
        self.seen: list[tuple[str, str]] = []
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Where S3's clients are to go."""
        return f"http://127.0.0.1:{self._server.server_port}{self._upstream.path}"

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                return

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:  # clients that die here do so on purpose
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            number = len(self.seen)
            self.seen.append((handler.command, handler.path))
        length = int(handler.headers.get("Content-Length") or 0)
        request = Request(
            number, handler.command, handler.path, list(handler.headers.items()),
            handler.rfile, length, self._upstream.netloc,
        )  # fmt: skip
        answer = self.script(request)
        if answer is None:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() != "content-length" or handler.command == "HEAD":
                handler.send_header(name, value)
        if handler.command != "HEAD" and answer.status != 204:
            handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)
