"""The SDK against the stand-in over TLS: HTTP/2 in Node, HTTP/1.1 in Bun, as the SDK itself chooses."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cursor.client import RunFailed
from app.cursor.frames import Tokens
from app.settings import Settings
from tests.app.bridges import WEATHER, answered, asking, called, collect, further, running, until
from tests.standins.cursor import CursorStandIn

http2 = pytest.importorskip("tests.standins.http2", reason="the h2 library is not installed")
pytestmark = [pytest.mark.release, pytest.mark.anyio]


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path: Path = http2.certificate(tmp_path / "stand-in.pem")
    return path


@pytest.fixture
def cursor(pem: Path) -> Iterator[CursorStandIn]:
    with CursorStandIn(pem=pem) as stand_in:
        yield stand_in


@pytest.fixture
def secure(either: Settings, cursor: CursorStandIn, pem: Path) -> Settings:
    return dataclasses.replace(either, backend_url=cursor.secure_url, authorities=pem)


@pytest.fixture
def http2_only(secure: Settings, runtime: Path) -> Settings:
    if "node" not in runtime.name:
        pytest.skip("in Bun the SDK speaks HTTP/1.1")
    return secure


async def test_text_usage_and_a_further_turn(secure: Settings, cursor: CursorStandIn) -> None:
    async with running(secure) as bridge:
        text, done = await collect(bridge, "[[scenario:usage]]")
        assert (text, done.usage) == ("counted", Tokens(100, 20, 5, 3))
        await collect(bridge, further(asking("[[scenario:usage]]"), text, "and?"))
        spoken = bridge.runtime.kind if bridge.runtime else None
    assert cursor.runs[1].prompt == "and?"
    assert bool(cursor.http2_requests) == (spoken == "node")


async def test_an_unknown_authority_is_refused(secure: Settings, cursor: CursorStandIn) -> None:
    async with running(dataclasses.replace(secure, authorities=None, run_timeout_ms=8000)) as bridge:
        with pytest.raises(RunFailed):
            await collect(bridge, "hi")
    assert cursor.runs == []


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("unauthenticated", "authentication"),
        ("usage_limit", "rate_limit"),
        ("error_midway", "internal"),
        ("no_turn_end", "unavailable"),
        ("cut", "unavailable"),
        ("http_error status=401", "authentication"),
    ],
)
async def test_failures(http2_only: Settings, scenario: str, kind: str) -> None:
    async with running(http2_only) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, f"[[scenario:{scenario}]]")
        assert caught.value.kind == kind, caught.value.message
        assert (await collect(bridge, "still there?"))[0] == "Hello from the stand-in"


async def test_streams_beside_each_other(http2_only: Settings) -> None:
    async with running(http2_only) as bridge:
        marks = [f"{index} [[scenario:slow count=20 delay=0.02]]" for index in range(16)]
        answers = await asyncio.gather(*(collect(bridge, mark) for mark in marks))
    assert {text for text, _ in answers} == {"".join(f"{index} " for index in range(20))}


async def test_big_messages_both_ways(http2_only: Settings) -> None:
    async with running(http2_only) as bridge:
        long = "[[scenario:echo]]" + "ü" * 700_000
        assert (await collect(bridge, long))[0] == long


async def test_leaving_cancels(http2_only: Settings, cursor: CursorStandIn) -> None:
    async with running(http2_only) as bridge:
        events = bridge.run(asking("[[scenario:hang]]"))
        await anext(events)
        await events.aclose()
        await until(lambda: cursor.runs[0].client_left, 1)


async def test_tools(http2_only: Settings, cursor: CursorStandIn) -> None:
    """Now and then the SDK still writes to a stream that the backend has just ended, and fails the run.

    That is a race inside the SDK, over HTTP/2 only (Bun, which the app ships, speaks HTTP/1.1): such a run,
    and no other failure, is tried again.
    """
    prompt = dataclasses.replace(asking("[[scenario:tools for=Paris,Rome]]"), tools=(WEATHER,))
    text, tries = "", 0
    async with running(http2_only) as bridge:
        while not text:
            tries += 1
            _, calls = await called(bridge, prompt)
            assert len(calls) == 2
            try:
                text, _ = await collect(bridge, answered(prompt, calls, ["sunny", "rainy"]))
            except RunFailed as failed:
                if "consumer called return" not in failed.message or tries == 5:
                    raise
    assert text == "I heard: sunny; rainy"
    assert len(cursor.runs) == tries
