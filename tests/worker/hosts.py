"""The site on a real port, with a folder as the bucket, and other people's servers around it as stand-ins."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn

from worker.core import make
from worker.hosts.local.cipher import AesGcm
from worker.hosts.local.folder import Folder
from worker.hosts.local.outbound import Http
from worker.hosts.local.serve import ASSETS, options, with_lifespan
from worker.hosts.local.sqlite import Sqlite
from worker.ports import Database, ObjectStore, Ports


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    seconds: float = 1_795_000_000.0

    def now(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Reply:
    """What came back. `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


@dataclass
class Site:
    """A site that runs."""

    port: int
    bucket: Path
    database: Sqlite
    clock: Clock

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str | bytes, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        """Send a request whose path goes out as it is given; header names take `_` for `-`."""
        raw = path.decode("latin-1") if isinstance(path, bytes) else path
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection._validate_path = lambda url: None  # type: ignore[attr-defined]
        connection._encode_request = lambda request: request.encode("latin-1")  # type: ignore[attr-defined]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, raw, body, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: object, **headers: str) -> Reply:
        """Send JSON."""
        given = {"content_type": "application/json", **headers}
        return self.ask(path, "POST", json.dumps(body).encode(), **given)

    def put(self, key: str, data: bytes) -> None:
        """Put an object into the bucket, as a whole."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(data)
        temporary.replace(path)


@contextmanager
def site(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    store: ObjectStore | None = None,
    database: Database | None = None,
) -> Iterator[Site]:
    """Run a site for a test, in a thread of its own."""
    bucket, clock = folder / "bucket", Clock()
    bucket.mkdir(parents=True, exist_ok=True)
    kept, outbound = Sqlite(folder / "site.sqlite"), Http(patience=5)
    kept.migrate()
    ports = Ports(store or Folder(bucket), database or kept, outbound, AesGcm(), clock, settings or {})
    app = with_lifespan(make(ports, ASSETS), kept, outbound)
    server = uvicorn.Server(uvicorn.Config(app, **options("127.0.0.1", 0)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Site(_port(server, thread), bucket, kept, clock)
    finally:
        server.should_exit = True
        thread.join(10)


def _port(server: uvicorn.Server, thread: threading.Thread) -> int:
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the site did not start")
        time.sleep(0.005)
    return int(server.servers[0].sockets[0].getsockname()[1])


@dataclass
class Elsewhere:
    """A server of somebody else's: answers what it is told to, and remembers what it was asked."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, object]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def answer(self, method: str, path: str, status: int, body: object = None) -> None:
        self.answers[method, path] = (status, body)


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Run one."""
    told = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            size = int(self.headers.get("content-length", "0"))
            body = self.rfile.read(size)
            told.asked.append(
                (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            )
            status, answer = told.answers.get((self.command, self.path), (404, {"error": "unknown"}))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = handle_one

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
