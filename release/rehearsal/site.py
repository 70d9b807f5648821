"""The rehearsal's public side: downloads and the feed over HTTP, straight from the bucket.

GET and HEAD on `/download`, `/appcast.xml`, `/releases/<name>` and `/releases/<version>/<name>`, with entity
tags, conditional requests and single ranges; types and caching are the objects' own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import unquote_to_bytes, urlsplit

from errors import Fault
from release.objects import FEED_KEY, RELEASES
from release.s3 import Changed
from release.store import Object, Store

if TYPE_CHECKING:
    import requests
    from werkzeug.serving import BaseWSGIServer

Environ = dict[str, Any]

LATEST = "API-for-Cursor-latest.dmg"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*")  # the folders of manifests
_TRIES = 3  # an object may be replaced between asking for it and reading it
_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; `body` is made when it is sent, `length` is its size in bytes."""

    status: str
    headers: dict[str, str] = field(default_factory=dict)
    length: int = 0
    body: Callable[[ExitStack], Iterator[bytes]] | None = None


class Site:
    """A context manager: the site is served inside `with`, at `url`."""

    def __init__(self, store: Store, *, latest: str = LATEST) -> None:
        self._store = store
        self._latest = latest
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The site's address, `http://127.0.0.1:<port>`; only while it runs."""
        if self._server is None:
            raise RuntimeError("the site is not running")
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, type: str, message: str, *args: object) -> None:
                return

        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        stack = ExitStack()
        for _ in range(_TRIES):
            try:
                reply = respond(self._store, method, environ, self._latest)
                body = reply.body(stack) if reply.body and method != "HEAD" else iter(())
                break
            except Changed:
                continue
            except Fault as fault:
                reply, body = _text("502 Bad Gateway", fault.what)
                break
        else:
            reply, body = _text("503 Service Unavailable", "the object keeps changing")
        headers = {"X-Content-Type-Options": "nosniff", **reply.headers}
        if not reply.status.startswith(("204", "304")):
            headers["Content-Length"] = str(reply.length)
        start_response(reply.status, list(headers.items()))
        return _closing(stack, body)


def respond(store: Store, method: str, environ: Environ, latest: str = LATEST) -> Reply:
    """Answer a request (a WSGI environ). Raises Fault where the store does."""
    if method == "OPTIONS":
        return Reply("204 No Content", _CORS)
    if method not in ("GET", "HEAD"):
        return Reply("405 Method Not Allowed", {"Allow": "GET, HEAD, OPTIONS"})
    parts = _segments(environ.get("REQUEST_URI") or environ["PATH_INFO"])
    if parts is None:
        return Reply("400 Bad Request")
    if parts == ("download",):
        return Reply("302 Found", {"Location": f"/{RELEASES}{latest}", "Cache-Control": "no-cache"})
    key = _key(parts)
    found = store.head(key) if key else None
    if found is None:
        return Reply("404 Not Found", {"Cache-Control": "no-store"})
    return _object(store, found, environ)


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


def _segments(uri: str) -> tuple[str, ...] | None:
    """Return a request's path, cut at its slashes and then decoded once; None if it cannot be decoded."""
    raw = uri if uri.startswith("/") else urlsplit(uri).path
    raw = raw.partition("?")[0]
    if _BAD_ESCAPE.search(raw):
        return None
    try:
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in raw.removeprefix("/").split("/"))
    except UnicodeDecodeError:
        return None


def _key(parts: tuple[str, ...]) -> str | None:
    """Return the object behind a path; names that could mean another folder mean nothing here."""
    if parts == (FEED_KEY,):
        return FEED_KEY
    names = parts[1:]
    if f"{parts[0]}/" != RELEASES or not 1 <= len(names) <= 2:
        return None
    if any(not name or name == "." or ".." in name or set(name) & {"/", "\\", "\0"} for name in names):
        return None
    return "/".join(parts) if len(names) == 1 or _VERSION.fullmatch(names[0]) else None


def _object(store: Store, found: Object, environ: Environ) -> Reply:
    from werkzeug.http import is_resource_modified

    headers = _headers(found)
    if not is_resource_modified(environ, etag=found.etag, last_modified=found.modified):
        kept = ("ETag", "Cache-Control", "Last-Modified")
        return Reply("304 Not Modified", {name: headers[name] for name in kept if name in headers})
    wanted = _range(environ, found)
    if wanted == "unsatisfiable":
        return Reply("416 Range Not Satisfiable", {"Content-Range": f"bytes */{found.size}"})
    status, (start, end) = "200 OK", (0, found.size)
    if wanted is not None:
        status, (start, end) = "206 Partial Content", wanted
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"

    def body(stack: ExitStack) -> Iterator[bytes]:
        return stack.enter_context(store.open(found.key, start=start, end=end, if_match=found.etag))

    return Reply(status, headers, end - start, body)


def _headers(found: Object) -> dict[str, str]:
    from werkzeug.http import http_date

    headers = {
        "Content-Type": found.content_type,
        "Cache-Control": found.cache_control,
        "ETag": found.etag,
        "Accept-Ranges": "bytes",
    }
    if found.modified:
        headers["Last-Modified"] = http_date(found.modified)
    if found.disposition:
        headers["Content-Disposition"] = found.disposition
    return headers


def _range(environ: Environ, found: Object) -> tuple[int, int] | Literal["unsatisfiable"] | None:
    """Return (start, end) of the one range asked for, "unsatisfiable", or None for the whole.

    Several ranges at once, a malformed header, or one meant for another version get the whole object.
    """
    from werkzeug.http import parse_range_header

    only_for = environ.get("HTTP_IF_RANGE")
    if only_for is not None and only_for != found.etag:
        return None
    asked = parse_range_header(environ.get("HTTP_RANGE"), make_inclusive=True)
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    start, end = asked.ranges[0]
    if start < 0:  # the last so many bytes, or all there are
        start = max(0, found.size + start)
    end = found.size if end is None else min(end, found.size)
    return (start, end) if start < end else "unsatisfiable"


def _text(status: str, text: str) -> tuple[Reply, Iterator[bytes]]:
    data = text.encode()
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, len(data)), iter((data,))


def _closing(stack: ExitStack, body: Iterator[bytes]) -> Iterator[bytes]:
    with stack:
        yield from body
