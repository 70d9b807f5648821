"""Replies over ASGI: what was decided as a value goes out here, an object's bytes as they are read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol, runtime_checkable

from starlette.types import Message, Scope, Send

from worker.ports import Object, ObjectStore, Unavailable, Vanished
from worker.ranges import Slice
from worker.releases import LATEST, answer
from worker.replies import Reply, unavailable

TRIES: Final = 3  # an object may be replaced between asking for it and reading it
ZERO_COPY: Final = "http.response.zerocopysend"  # ASGI's extension: a file's descriptor instead of bytes
AGAIN: Final = "apiforcursor.again"
"""Our own extension of ASGI: the server's Keep, which takes an answer that it may give again by itself."""
SMALL: Final = 512 * 1024  # bytes of an object that is read whole, and worth keeping
CONDITIONS: Final = frozenset(
    (b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")
)

log = logging.getLogger("worker.releases")

Holds = Callable[[Scope], bool]
"""Whether a request for the same target still gets that answer; told without waiting."""
Keep = Callable[[Scope, Holds, Message, bytes], None]
"""Takes the request, whether its answer still holds, the answer's start and its whole body."""


@runtime_checkable
class Files(Protocol):
    """A store whose objects are files of this machine."""

    def look(self, key: str) -> Object | None:
        """Tell about an object without waiting; None if there is none."""
        ...

    def opened(self, found: Object) -> AbstractContextManager[int]:
        """Open that very object; gives a descriptor. Raises Vanished."""
        ...


class Releases:
    """Answers requests for releases from one bucket."""

    def __init__(self, store: ObjectStore | None, latest: str = LATEST) -> None:
        self.store = store
        self.latest = latest

    async def serve(self, scope: Scope, send: Send) -> None:
        """Answer one request."""
        for _ in range(TRIES):
            try:
                if await self._try(scope, send):
                    return
            except Unavailable as error:
                log.warning("%s", error)
                break
        await send_reply(unavailable("bucket"), scope["method"], send)

    async def _try(self, scope: Scope, send: Send) -> bool:
        if self.store is None:
            raise Unavailable("no bucket is bound")
        headers = {name.decode(): value.decode("latin-1") for name, value in _conditions(scope)}
        path, query = path_of(scope), scope["query_string"]
        reply = await answer(self.store, scope["method"], path, query, headers, self.latest)
        return await self._sent(reply, scope, send)

    async def _sent(self, reply: Reply, scope: Scope, send: Send) -> bool:
        """Send a reply; False if its object had vanished before anything was sent.

        If it vanishes later, Vanished ends the connection: a client must notice that its file is not whole.
        """
        store, found, part = self.store, reply.found, reply.part
        if found is None or part is None or store is None or scope["method"] == "HEAD":
            await send_reply(reply, scope["method"], send)
            return True
        try:
            if reply.status == 200 and found.size <= SMALL:
                await _send_small(reply, found, store, scope, send)
            elif ZERO_COPY in scope.get("extensions", ()) and isinstance(store, Files):
                await _send_file(reply, found, part, store, send)
            else:
                await _send_chunks(reply, found, part, store, send)
        except _Gone:
            return False
        return True


def path_of(scope: Scope) -> bytes:
    """Give a request's path as it came, without its query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0]


async def send_reply(reply: Reply, method: str, send: Send) -> None:
    """Send a reply that has its body in it."""
    await send(_start(reply))
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else reply.body})


def _start(reply: Reply) -> Message:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status not in (204, 304):
        headers.append((b"content-length", str(reply.length).encode()))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


class _Gone(Exception):
    """The object vanished before anything was sent."""


def _conditions(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Give the headers that an answer depends on."""
    return [header for header in scope["headers"] if header[0] in CONDITIONS]


async def _send_small(reply: Reply, found: Object, store: ObjectStore, scope: Scope, send: Send) -> None:
    try:
        data = b"".join([chunk async for chunk in store.stream(found, 0, found.size)])
    except Vanished:
        raise _Gone from None
    start = _start(reply)
    await send(start)
    await send({"type": "http.response.body", "body": data})
    keep: Keep | None = scope.get("extensions", {}).get(AGAIN)
    if keep is not None and isinstance(store, Files):
        keep(scope, _while_same(store, found), start, data)


def _while_same(store: Files, found: Object) -> Holds:
    def holds(scope: Scope) -> bool:
        if scope["method"] != "GET" or _conditions(scope):
            return False
        now = store.look(found.key)
        return now is not None and now.etag == found.etag

    return holds


async def _send_chunks(reply: Reply, found: Object, part: Slice, store: ObjectStore, send: Send) -> None:
    async with contextlib.aclosing(store.stream(found, part.start, part.end)) as chunks:
        try:
            first = await anext(chunks, b"")
        except Vanished:
            raise _Gone from None
        await send(_start(reply))
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _send_file(reply: Reply, found: Object, part: Slice, store: Files, send: Send) -> None:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(store.opened(found))
        except Vanished:
            raise _Gone from None
        await send(_start(reply))
        count = part.end - part.start
        await send({"type": ZERO_COPY, "file": file, "offset": part.start, "count": count})
    await send({"type": "http.response.body", "body": b""})
