"""The rehearsal's public side: the download site itself, served here, with the rehearsal's bucket behind it.

What answers is `worker`, as it is deployed; only the way to the bucket is this module's, through the
release's own store, which speaks S3.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from errors import Fault
from release.s3 import Changed
from release.store import Store
from worker.ports import Object, Unavailable, Vanished

if TYPE_CHECKING:
    import requests
    import uvicorn
    from starlette.types import ASGIApp

LATEST = "API-for-Cursor-latest.dmg"
PATIENCE = 30.0  # seconds until it listens


class Site:
    """A context manager: the site is served inside `with`, at `url`."""

    def __init__(self, store: Store, *, latest: str = LATEST) -> None:
        self._store = store
        self._latest = latest
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The site's address, `http://127.0.0.1:<port>`; only while it runs."""
        if self._server is None:
            raise RuntimeError("the site is not running")
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        import uvicorn

        from worker.core import make
        from worker.hosts.local.cipher import AesGcm
        from worker.hosts.local.outbound import Http
        from worker.hosts.local.serve import ASSETS, SystemClock, options, with_lifespan
        from worker.ports import Ports

        outbound, settings = Http(), {"LATEST_IMAGE": self._latest}
        ports = Ports(Bucket(self._store), None, outbound, AesGcm(), SystemClock(), settings)
        app = with_lifespan(self.around(make(ports, ASSETS)), outbound.close)
        self._server = uvicorn.Server(uvicorn.Config(app, **options("127.0.0.1", 0)))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise Fault("the rehearsal's site did not start")
            time.sleep(0.005)
        return self

    def around(self, app: ASGIApp) -> ASGIApp:
        """Stand between the server and the site; here nothing does."""
        return app

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None


class Bucket:
    """The release's store as the site's (worker.ports.ObjectStore); its calls wait in threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def head(self, key: str) -> Object | None:
        """See ObjectStore."""
        try:
            found = await asyncio.to_thread(self._store.head, key)
        except Fault as fault:
            raise Unavailable(fault.what) from fault
        if found is None:
            return None
        modified = found.modified.timestamp() if found.modified else 0.0
        caching, disposition = found.cache_control, found.disposition or ""
        return Object(key, found.size, found.etag, modified, found.content_type, caching, disposition)

    async def stream(self, found: Object, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """See ObjectStore."""
        opened = self._store.open(found.key, start=start, end=end, if_match=found.etag)
        try:
            chunks = await asyncio.to_thread(opened.__enter__)
            try:
                while chunk := await asyncio.to_thread(next, chunks, b""):
                    yield chunk
            finally:
                await asyncio.to_thread(opened.__exit__, None, None, None)
        except Changed as changed:
            raise Vanished(found.key) from changed
        except Fault as fault:
            raise Unavailable(fault.what) from fault


def route(session: requests.Session, public_url: str, actual_url: str) -> None:
    """Let `session` reach `public_url` at `actual_url`; whoever asks and answers sees the public address.

    The site's address is written into app and feed long before it is known on which port it will run.
    """
    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter

    public, actual = public_url.rstrip("/") + "/", actual_url.rstrip("/") + "/"

    class Rerouted(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
            asked = request.url or ""
            request.url = actual + asked[len(public) :]
            try:
                response = super().send(request, *args, **{**kwargs, "proxies": {}})
            finally:
                request.url = asked
            response.url = asked
            return response

    session.mount(public, Rerouted())
