from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, strategies

from app.cursor import frames

TEXTS = strategies.lists(strategies.text(max_size=50) | strategies.just("x" * 200_000), max_size=8)
CUTS = strategies.lists(strategies.integers(1, 70_000), min_size=1, max_size=5)


async def read_all(data: bytes, cuts: list[int]) -> list[frames.Event]:
    """What is read of `data` when it arrives cut into pieces of the sizes `cuts`, over and over."""
    reader = asyncio.StreamReader(limit=1 << 20)

    async def arrive() -> None:
        at = number = 0
        while at < len(data):
            size = cuts[number % len(cuts)]
            reader.feed_data(data[at : at + size])
            at, number = at + size, number + 1
            if number % 3:
                await asyncio.sleep(0)
        reader.feed_eof()

    arriving = asyncio.create_task(arrive())
    found = []
    try:
        async for event in frames.read_all(reader):
            found.append(event)
    except asyncio.IncompleteReadError as error:
        assert not error.partial
    await arriving
    return found


def event(text: str) -> dict[str, Any]:
    return {"event": "text", "id": 1, "text": text}


@given(texts=TEXTS, cuts=CUTS)
def test_events_arrive_whole_however_they_are_cut(texts: list[str], cuts: list[int]) -> None:
    data = b"".join(frames.encode(event(text)) for text in texts)
    if len(data) > 1000:
        cuts = [max(cut, 500) for cut in cuts]
    assert asyncio.run(read_all(data, cuts)) == [frames.Text(1, text) for text in texts]


@pytest.mark.parametrize("data", [frames.encode(event("x"))[:-1], b"\0\0", b"\0\0\0\1"])
def test_an_end_in_the_middle(data: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        async for _ in frames.read_all(reader):
            pass

    with pytest.raises(asyncio.IncompleteReadError) as raised:
        asyncio.run(read())
    assert raised.value.partial == data


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0\0\2{]", frames.encode({"event": "unheard of"})])
def test_what_is_no_event(data: bytes) -> None:
    with pytest.raises(ValueError):
        asyncio.run(read_all(data, [1000]))
