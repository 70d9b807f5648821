"""The site on a real port, on either host, and other people's servers around it as stand-ins.

A `Host` opens a site for a test. The one on uvicorn has a folder as its bucket and SQLite; the other one is
Cloudflare's Python Worker with wrangler's bucket and database. Both are told to and asked in the same words.
"""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import uvicorn

from tests.worker.python_worker import PythonWorker
from worker.core import make
from worker.hosts.local.cipher import AesGcm
from worker.hosts.local.folder import Folder
from worker.hosts.local.outbound import Http
from worker.hosts.local.serve import ASSETS, options, with_lifespan
from worker.hosts.local.sqlite import Sqlite
from worker.hosts.settings import patience
from worker.ports import Database, Object, ObjectStore, Ports, Unavailable

BEGINNING = 1_795_000_000.0  # epoch seconds


class Clock(Protocol):
    """A clock that stands until it is moved."""

    seconds: float


@dataclass
class StandingClock:
    """The clock of the site on uvicorn."""

    seconds: float = BEGINNING

    def now(self) -> float:
        return self.seconds


class RemoteClock:
    """The clock of the Python Worker."""

    def __init__(self, worker: PythonWorker) -> None:
        self._worker = worker
        self.seconds = BEGINNING

    @property
    def seconds(self) -> float:
        return self._seconds

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._seconds = value
        self._worker.tell("clock", seconds=value)


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
    clock: Clock

    def put(self, key: str, data: bytes) -> None:
        """Put an object into the bucket, as a whole."""
        raise NotImplementedError

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Ask the database."""
        raise NotImplementedError

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


@dataclass
class LocalSite(Site):
    """On uvicorn."""

    bucket: Path
    database: Sqlite

    def put(self, key: str, data: bytes) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(data)
        temporary.replace(path)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self.database._rows(sql, ())


@dataclass
class RemoteSite(Site):
    """As a Python Worker."""

    worker: PythonWorker

    def put(self, key: str, data: bytes) -> None:
        self.worker.put(key, data)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.worker.tell("rows", sql=sql)
        return found


Opened = TypeVar("Opened", bound=Site, covariant=True)
Names = Sequence[str]


class Opens(ABC, Generic[Opened]):
    """Opens sites."""

    def site(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        down: Names = (),
        without: Names = (),
    ) -> AbstractContextManager[Opened]:
        """Open one. Of the bindings RELEASES and DB, those in `down` fail; those in `without` are absent."""
        return self._site(folder, settings or {}, down, without)

    @abstractmethod
    def _site(
        self, folder: Path, settings: Mapping[str, str], down: Names, without: Names
    ) -> AbstractContextManager[Opened]: ...


Host = Opens[Site]


@dataclass
class Uvicorn(Opens[LocalSite]):
    """The host of one's own machine; a `store` takes the place of the folder."""

    store: ObjectStore | None = None

    @contextmanager
    def _site(
        self, folder: Path, settings: Mapping[str, str], down: Names, without: Names
    ) -> Iterator[LocalSite]:
        bucket = folder / "bucket"
        bucket.mkdir(parents=True, exist_ok=True)
        database = Sqlite(folder / "site.sqlite")
        database.migrate()
        store = DownStore() if "RELEASES" in down else self.store or Folder(bucket)
        rows = DownDatabase() if "DB" in down else database
        kept = (None if "RELEASES" in without else store, None if "DB" in without else rows)
        clock = StandingClock()
        with running(database, *kept, clock, settings) as port:
            yield LocalSite(port, clock, bucket, database)


@dataclass
class Cloudflare(Host):
    """The host on Cloudflare."""

    worker: PythonWorker

    @contextmanager
    def _site(self, folder: Path, settings: Mapping[str, str], down: Names, without: Names) -> Iterator[Site]:
        self.worker.reset(settings, without, keep=folder == self.worker.folder)
        self.worker.folder = folder
        if down:
            self.worker.tell("down", names=list(down))
        yield self.as_it_is()

    def as_it_is(self) -> Site:
        """The site with everything that was put there before."""
        return RemoteSite(self.worker.port, RemoteClock(self.worker), self.worker)


class DownStore:
    """A bucket that does not answer."""

    async def head(self, key: str) -> Object | None:
        raise Unavailable("bucket: a secret detail")

    async def stream(self, found: Object, start: int, end: int):
        raise Unavailable("bucket: a secret detail")
        yield b""


class DownDatabase:
    """A database that does not answer."""

    async def rows(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        raise Unavailable("a secret detail")

    async def write(self, *statements: tuple[str, Sequence[object]]) -> int:
        raise Unavailable("a secret detail")


@contextmanager
def running(
    kept: Sqlite,
    store: ObjectStore | None,
    database: Database | None,
    clock: StandingClock,
    settings: Mapping[str, str],
) -> Iterator[int]:
    """Run a site on uvicorn, in a thread of its own; give its port."""
    outbound = Http(patience(settings) / 1000)
    ports = Ports(store, database, outbound, AesGcm(), clock, settings)
    app = with_lifespan(make(ports, ASSETS), outbound.close, kept.close)
    server = uvicorn.Server(uvicorn.Config(app, **options("127.0.0.1", 0)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield _port(server, thread)
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
    """A server of somebody else's: answers what it is told to, and remembers what it was asked.

    It compresses for those who say that they can read that, as servers do.
    """

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, object]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    delay: float = 0.0  # seconds before it answers

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
            time.sleep(told.delay)
            status, answer = told.answers.get((self.command, self.path), (404, {"error": "unknown"}))
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if "gzip" in self.headers.get("accept-encoding", ""):
                data = gzip.compress(data)
                self.send_header("content-encoding", "gzip")
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
