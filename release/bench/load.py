"""Load on an HTTP server, from a process of its own: a bounded number of requests, each answer checked.

`python -m release.bench.load` reads a Load as JSON from standard input and writes a Result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

PATIENCE = 30.0  # seconds until an answer that does not end is given up


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `requests` POSTs of `body` to `url`, over `clients` connections that are kept open.

    Every answer's text, a chat completion's or a stream's deltas joined, must be `text`.
    """

    url: str
    body: str
    clients: int
    requests: int
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came back: requests a second over all, medians in milliseconds, answers that were wrong.

    `first` is the time to the first byte of the body; `most` the longest whole answer, in seconds.
    """

    rate: float
    whole: float
    first: float
    most: float
    failed: int
    complaint: str = ""


@dataclass(slots=True)
class Answer:
    """One answer as it arrives; times in seconds from the request."""

    status: int = 0
    first: float = 0.0
    whole: float = 0.0
    body: bytearray = field(default_factory=bytearray)


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.answer = Answer()
        self.began = 0.0
        self.done: asyncio.Future[Answer] | None = None

    def ask(self) -> asyncio.Future[Answer]:
        """Send the request; the future is the whole answer."""
        assert self.transport is not None
        self.answer, self.done = Answer(), asyncio.get_running_loop().create_future()
        self.began = time.perf_counter()
        self.transport.write(self.request)
        return self.done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Take in what the server says."""
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up on an answer that did not end."""
        self.transport = None
        if self.done is not None and not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))

    def on_body(self, body: bytes) -> None:
        """Note when the first byte came."""
        if not self.answer.body:
            self.answer.first = time.perf_counter() - self.began
        self.answer.body += body

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        self.answer.whole = time.perf_counter() - self.began
        self.answer.status = self.parser.get_status_code()
        again = self.parser.should_keep_alive()
        self.parser = httptools.HttpResponseParser(self)
        if not again and self.transport is not None:
            self.transport.close()
            self.transport = None
        if self.done is not None and not self.done.done():
            self.done.set_result(self.answer)


async def run(load: Load) -> Result:
    """Send it all; the clock runs from the first request to the end of the last answer."""
    shares = [len(range(first, load.requests, load.clients)) for first in range(load.clients)]
    began = time.perf_counter()
    answers = [one for share in await asyncio.gather(*(_share(load, n) for n in shares)) for one in share]
    seconds = time.perf_counter() - began
    complaints = [complaint for one in answers if (complaint := _complaint(one, load.text))]
    return Result(
        rate=len(answers) / seconds,
        whole=1000 * statistics.median(one.whole for one in answers),
        first=1000 * statistics.median(one.first for one in answers),
        most=max(one.whole for one in answers),
        failed=len(complaints),
        complaint=complaints[0] if complaints else "",
    )


async def _share(load: Load, count: int) -> list[Answer]:
    loop, request = asyncio.get_running_loop(), _request(load)
    host, _, port = urlsplit(load.url).netloc.partition(":")
    client = Client(request)
    answers = []
    for _ in range(count):
        if client.transport is None:
            _, client = await loop.create_connection(lambda: Client(request), host, int(port))
        try:
            answers.append(await asyncio.wait_for(client.ask(), PATIENCE))
        except (TimeoutError, ConnectionError) as error:
            return [Answer(body=bytearray(f"{type(error).__name__}: {error}".encode()))]
    if client.transport is not None:
        client.transport.close()
    return answers


def _request(load: Load) -> bytes:
    target, body = urlsplit(load.url), load.body.encode()
    head = (
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.netloc}",
        "Authorization: Bearer local",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def _complaint(answer: Answer, text: str) -> str:
    if answer.status != 200:
        return f"status {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}"
    found = "".join(_texts(bytes(answer.body)))
    return "" if found == text else f"{found[-300:]!r} at the end of {len(found)} characters"


def _texts(body: bytes) -> Iterable[str]:
    if not body.startswith(b"data:"):
        yield json.loads(body)["choices"][0]["message"]["content"]
        return
    events = [event.removeprefix(b"data:").strip() for event in body.split(b"\n\n")]
    for event in events:
        if event.startswith(b"{"):
            for choice in json.loads(event)["choices"]:
                yield choice["delta"].get("content") or ""
    if b"[DONE]" not in events:
        yield f" and no end but {body[-200:]!r}"


def main() -> None:
    """Do what standard input says."""
    load = Load(**json.load(sys.stdin))
    try:
        import uvloop
    except ImportError:
        result = asyncio.run(run(load))
    else:
        result = uvloop.run(run(load))
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
