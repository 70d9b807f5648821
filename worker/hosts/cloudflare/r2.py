"""R2's binding as the bucket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pyodide.ffi import JsException

from worker.hosts.cloudflare.convert import js, taken
from worker.ports import Object, Unavailable, Vanished
from worker.ranges import Slice


class R2:
    """A bucket that is bound to the Worker."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def head(self, key: str) -> Object | None:
        """See ObjectStore."""
        try:
            found = await self._binding.head(key)
        except JsException as error:
            raise Unavailable("R2 does not answer") from error
        return _object(found) if found else None  # null is not None

    async def stream(self, found: Object, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """See ObjectStore. For small objects: what is large goes out by `body`."""
        if start == end:
            return
        reader = (await self.body(found, Slice(start, end))).getReader()
        while True:
            part = await reader.read()
            if part.done:
                return
            yield taken(part.value)

    async def body(self, found: Object, part: Slice) -> Any:
        """Give a ReadableStream of that very object's bytes, to be sent without passing through Python."""
        wanted = {
            "range": {"offset": part.start, "length": part.end - part.start},
            "onlyIf": {"etagMatches": found.etag.strip('"')},
        }
        try:
            got = await self._binding.get(found.key, js(wanted))
        except JsException as error:
            raise Unavailable("R2 does not answer") from error
        body = getattr(got, "body", None)
        if body is None:  # gone, or the condition does not hold
            raise Vanished(found.key)
        return body


def _object(found: Any) -> Object:
    kept = found.httpMetadata

    def text(name: str) -> str:
        value = getattr(kept, name, None)
        return value if isinstance(value, str) else ""

    return Object(
        found.key,
        int(found.size),
        found.httpEtag,
        found.uploaded.getTime() / 1000,
        text("contentType"),
        text("cacheControl"),
        text("contentDisposition"),
    )
