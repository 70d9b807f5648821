"""Requests to other servers, through httpx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

import httpx

from worker.ports import Answer, Refused, TimedOut, Unavailable

LARGEST: Final = 1024 * 1024  # bytes of an answer that is taken whole
TIMEOUT: Final = 15.0  # seconds for one that is


class Http:
    """One pool of connections. `patience` is how many seconds a stream may be silent."""

    def __init__(self, patience: float = 180.0) -> None:
        self._patience = patience
        # Bodies are taken as they come, so that their bounds hold: nothing may come compressed.
        headers = {"accept-encoding": "identity"}
        self._client = httpx.AsyncClient(
            headers=headers, follow_redirects=False, trust_env=False, timeout=TIMEOUT
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """See Outbound."""
        try:
            async with self._client.stream(method, url, headers=dict(headers), content=body) as response:
                return Answer(response.status_code, await _bounded(response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{_host(url)}: {type(error).__name__}") from error

    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncGenerator[bytes, None]:
        """See Outbound."""
        timeout = httpx.Timeout(TIMEOUT, read=self._patience)
        try:
            async with self._client.stream(
                method, url, headers=dict(headers), content=body, timeout=timeout
            ) as response:
                if response.status_code != 200:
                    raise Refused(Answer(response.status_code, await _bounded(response)))
                async for chunk in response.aiter_raw():
                    yield chunk
        except httpx.TimeoutException as error:
            raise TimedOut(f"{_host(url)}: {type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{_host(url)}: {type(error).__name__}") from error


async def _bounded(response: httpx.Response) -> bytes:
    data = b""
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > LARGEST:
            raise Unavailable("the answer is too long")
    return data


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return "an address that is none"
