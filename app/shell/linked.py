"""Run the server's end of the link on this process's own standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from app.shell import link
from app.shell.native import NativeShell

LOOK = 2.0  # seconds between two looks at the server's health, of which only a change is told
LOOK_AT_START = 0.25  # the same until it is settled: then somebody is watching
SETTLED = frozenset({"ready", "needs_api_key", "needs_unlock", "sdk_bridge_missing"})


@dataclass(frozen=True, slots=True)
class Served:
    """What the shell may have of the server: origin, health, a way in for the window, a call when it woke."""

    url: str
    health: Callable[[], link.Health]
    page: Callable[[str], str]
    woke: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def linked(shell: NativeShell, served: Served) -> AsyncIterator[None]:
    """Keep the link for as long as the block lasts. When the shell hangs up, this process gets a SIGTERM."""
    reader, writer = await _streams()
    async with shell.attached(writer):
        shell.tell(link.Listening(served.url))
        tasks = [
            asyncio.create_task(_listen(shell, served, reader)),
            asyncio.create_task(_watch(shell, served)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Take standard input and output for the link; what anything else prints goes to standard error."""
    loop = asyncio.get_running_loop()
    incoming, outgoing = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    sys.stdout.flush()
    os.dup2(2, 1)
    reader = asyncio.StreamReader(limit=link.LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, incoming)
    transport, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, outgoing)
    return reader, asyncio.StreamWriter(transport, flow, None, loop)


async def _listen(shell: NativeShell, served: Served, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError, ValueError):  # ValueError: a line over the limit is no shell's
        while line := await reader.readline():
            match link.from_shell(line):
                case link.Answer() as answer:
                    shell.take(answer)
                case link.Open(place=place):
                    shell.tell(link.Page(served.page(place)))
                case link.Woke():
                    await served.woke()
                    shell.tell(served.health())
    signal.raise_signal(signal.SIGTERM)


async def _watch(shell: NativeShell, served: Served) -> None:
    told: link.Health | None = None
    while True:
        now = served.health()
        if now != told:
            shell.tell(now)
            told = now
        await asyncio.sleep(LOOK if now.status in SETTLED else LOOK_AT_START)
