"""The bridge's memory stays where it is, however many requests it has served, and however slow a reader is.

`API_FOR_CURSOR_REQUESTS` is how many the first test asks: 10,000 for the figure in the docs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import statistics
import sys

import pytest

from app.cursor.client import Bridge, RunFailed, Text
from app.settings import Settings
from tests.app.bridges import WEATHER, answered, asking, called, collect, further, running, until
from tests.standins.cursor import CursorStandIn

pytestmark = [pytest.mark.release, pytest.mark.anyio, pytest.mark.slow]

REQUESTS = int(os.environ.get("API_FOR_CURSOR_REQUESTS", "1000"))
BESIDE = 8
SAMPLES = 20
MB = 1024 * 1024
HELLO = "Hello from the stand-in"


async def one(bridge: Bridge, number: int) -> None:
    """One of several kinds of request, a conversation of two turns and a tool call among them."""
    match number % 8:
        case 0:
            await collect(bridge, further(asking(f"question {number - 8}"), HELLO, "and?"))
        case 1:
            prompt = dataclasses.replace(asking("[[scenario:tools for=Paris]]"), tools=(WEATHER,))
            _, calls = await called(bridge, prompt)
            if number % 16 == 1:  # every other client never comes back
                await collect(bridge, answered(prompt, calls, ["sunny"]))
        case 2:
            with pytest.raises(RunFailed):
                await collect(bridge, "[[scenario:error_midway]]")
        case 3:
            events = bridge.run(asking("[[scenario:hang]]"))
            await anext(events)
            await events.aclose()
        case 4:
            await collect(bridge, "x" * 20_000 + "[[scenario:echo]]")
        case _:
            await collect(bridge, f"question {number}")


async def test_memory_over_many_requests(
    real: Settings, cursor: CursorStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    samples: list[int] = []
    numbers = iter(range(REQUESTS))

    async def client(bridge: Bridge) -> None:
        for number in numbers:
            await one(bridge, number)
            if number % max(1, REQUESTS // SAMPLES) == 0:
                samples.append((await bridge.status()).memory)
                cursor.backend.forget()

    async with running(dataclasses.replace(real, park_ms=5000)) as bridge:
        await asyncio.gather(*(client(bridge) for _ in range(BESIDE)))
        status = await bridge.status()
    with capsys.disabled():
        sys.stdout.write(f"\n{REQUESTS} requests, MB: {[sample // MB for sample in samples]}\n")
    assert status.running == 0
    assert status.resting <= 32
    assert status.parked <= 64
    # It grows until the collector settles, within the first thousand requests; then it goes up and down.
    early, late = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    assert statistics.median(late) < max(early) + 64 * MB
    assert max(samples) < 512 * MB


async def test_a_slow_reader_costs_no_memory(real: Settings, cursor: CursorStandIn) -> None:
    """4 MB of text for somebody who pauses: kept in the bridge, not here, and all of it arrives."""
    async with running(real) as bridge:
        events = bridge.run(asking("[[scenario:flood count=4000 size=1000]]"))
        first = await anext(events)
        assert isinstance(first, Text)
        await until(lambda: cursor.runs[0].ended, 20)
        assert held(bridge) < MB
        length = len(first.text)
        async for event in events:
            length += len(event.text) if isinstance(event, Text) else 0
        assert length == 4_000_000


async def test_a_reader_that_never_comes_back_ends_the_run(real: Settings, cursor: CursorStandIn) -> None:
    """60 MB of text for somebody who reads nothing of it."""
    async with running(real) as bridge:
        events = bridge.run(asking("[[scenario:flood count=600 size=100000]]"))
        await anext(events)
        await until(lambda: cursor.runs[0].client_left or cursor.runs[0].ended, 20)
        assert held(bridge) < MB
        await asyncio.sleep(0.5)
        assert (await bridge.status()).running == 0
        with pytest.raises(RunFailed, match="does not read"):
            async for _ in events:
                pass
        assert (await collect(bridge, "hi"))[0] == HELLO


def held(bridge: Bridge) -> int:
    """Characters of output that wait in this process."""
    assert bridge._connection is not None
    queues = bridge._connection._runs.values()
    waiting = [event for queue in queues for event in queue._queue]  # type: ignore[attr-defined]
    return sum(len(event.text) for event in waiting if isinstance(event, Text))


async def test_others_are_served_beside_a_slow_reader(real: Settings) -> None:
    async with running(real) as bridge:
        events = bridge.run(asking("[[scenario:flood count=100 size=100000]]"))
        await anext(events)
        for _ in range(5):
            assert (await collect(bridge, "hi"))[0] == HELLO
        await events.aclose()
