"""How fast the stand-in for Cursor's backend is by itself: runs asked of it without the SDK.

`python -m tests.standins.pace URL PROMPT CLIENTS RUNS` asks for RUNS runs of PROMPT, CLIENTS at a time,
and prints the longest and the median run, in seconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import uuid
from urllib.parse import urlsplit

from tests.standins.cursor import RUN_REQUEST
from tests.standins.cursor_wire import END_STREAM, block, frame, integer


def requests(run: str, prompt: str) -> tuple[bytes, bytes]:
    """The bodies of one run: RunSSE's, and the BidiAppend that carries the prompt."""
    asked = block(RUN_REQUEST, block(2, block(1, block(1, block(1, prompt)))))
    append = block(2, block(1, run)) + integer(3, 0) + block(4, asked)
    return frame(block(1, run)), append


async def post(host: str, path: str, kind: str, body: bytes) -> bytes:
    """The whole answer to one request on a connection of its own."""
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    head = (f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    writer.write("\r\n".join((*head, "Connection: close", "", "")).encode() + body)
    try:
        return await reader.read(-1)
    finally:
        writer.close()


async def play(host: str, prompt: str) -> float:
    """Seconds from asking to the end."""
    began = time.perf_counter()
    stream, append = requests(str(uuid.uuid4()), prompt)
    answer, _ = await asyncio.gather(
        post(host, "/agent.v1.AgentService/RunSSE", "application/connect+proto", stream),
        post(host, "/aiserver.v1.BidiService/BidiAppend", "application/proto", append),
    )
    assert frame(b"{}", END_STREAM) in answer, "the run had no end"
    return time.perf_counter() - began


async def measure(url: str, prompt: str, clients: int, runs: int) -> list[float]:
    """The seconds of every run."""

    async def share(count: int) -> list[float]:
        return [await play(urlsplit(url).netloc, prompt) for _ in range(count)]

    shares = [len(range(first, runs, clients)) for first in range(clients)]
    return [one for times in await asyncio.gather(*map(share, shares)) for one in times]


def main() -> None:
    url, prompt, clients, runs = sys.argv[1:]
    times = asyncio.run(measure(url, prompt, int(clients), int(runs)))
    sys.stdout.write(f"{max(times)} {statistics.median(times)}\n")


if __name__ == "__main__":
    main()
