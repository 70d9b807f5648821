"""Requests to other servers by fetch, and to the bridge in its container."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from js import AbortSignal, fetch
from pyodide.ffi import JsException

from worker.hosts.cloudflare.convert import data, js, taken
from worker.ports import Answer, Refused, TimedOut, Unavailable

TIMEOUT: Final = 15_000  # ms for an answer that is taken whole
LARGEST: Final = 1024 * 1024  # bytes of one
CONTAINER: Final = "http://bridge.container"  # an address of no network: the container beside this Worker


class Fetch:
    """fetch, with the bridge's container (a Durable Object's namespace) behind its own address.

    `patience` is how many milliseconds a stream may be silent.
    """

    def __init__(self, patience: int, containers: Any = None) -> None:
        self._patience = patience / 1000
        self._containers = containers

    async def send(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """See Outbound."""
        response = await self._ask(method, url, headers, body, TIMEOUT)
        return Answer(int(response.status), await _whole(response))

    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncGenerator[bytes, None]:
        """See Outbound."""
        try:
            response = await asyncio.wait_for(self._ask(method, url, headers, body), self._patience)
        except TimeoutError as error:
            raise TimedOut("the other server is silent") from error
        if response.status != 200:
            raise Refused(Answer(int(response.status), await _whole(response)))
        reader = response.body.getReader()
        try:
            while True:
                part = await asyncio.wait_for(reader.read(), self._patience)
                if part.done:
                    return
                yield taken(part.value)
        except TimeoutError as error:
            raise TimedOut("the other server is silent") from error
        except JsException as error:
            raise Unavailable("the connection broke") from error
        finally:
            await reader.cancel()  # ends the request at the other side

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: int = 0
    ) -> Any:
        wanted: dict[str, Any] = {"method": method, "headers": dict(headers), "redirect": "manual"}
        if body:
            wanted["body"] = data(body)
        if timeout:
            wanted["signal"] = AbortSignal.timeout(timeout)
        try:
            return await self._sender(url)(url, js(wanted))
        except JsException as error:
            raise Unavailable("the other server does not answer") from error

    def _sender(self, url: str) -> Any:
        """Give the function that asks. A container's stub belongs to the request that it was made in."""
        if self._containers is None or not url.startswith(CONTAINER):
            return fetch
        return self._containers.get(self._containers.idFromName("bridge")).fetch


async def _whole(response: Any) -> bytes:
    try:
        body = taken(await response.arrayBuffer())
    except JsException as error:
        raise Unavailable("the connection broke") from error
    if len(body) > LARGEST:
        raise Unavailable("the answer is too long")
    return body
