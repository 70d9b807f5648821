"""Running a real bridge in a test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from app.cursor.client import Bridge, Prompt, Tool, ToolCall, ToolCalls, Turn
from app.cursor.frames import Done, Text
from app.cursor.models import COMPOSER
from app.settings import Settings
from tests.app.conftest import KEY

WEATHER = Tool(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Bridge]:
    bridge = Bridge(settings)
    await bridge.start()
    try:
        yield bridge
    finally:
        await bridge.stop()


def asking(text: str) -> Prompt:
    """A conversation of one message."""
    return Prompt(COMPOSER, KEY, (Turn("user", text),))


def answered(prompt: Prompt, calls: Sequence[ToolCall], results: Sequence[str], text: str = "") -> Prompt:
    """The next request of a client that was told `calls` after `text`, and has all `results`."""
    turns = [Turn("tool", result, call_id=call.id) for call, result in zip(calls, results, strict=True)]
    assistant = Turn("assistant", text, calls=tuple(calls))
    return dataclasses.replace(prompt, turns=(*prompt.turns, assistant, *turns))


def further(prompt: Prompt, answer: str, text: str) -> Prompt:
    """The next request of a client that got `answer` and says `text`."""
    return dataclasses.replace(prompt, turns=(*prompt.turns, Turn("assistant", answer), Turn("user", text)))


async def collect(bridge: Bridge, prompt: str | Prompt, **changes: Any) -> tuple[str, Done]:
    """The answer's text and its end."""
    asked = asking(prompt) if isinstance(prompt, str) else prompt
    pieces = []
    async for event in bridge.run(dataclasses.replace(asked, **changes)):
        match event:
            case Text():
                pieces.append(event.text)
            case Done():
                return "".join(pieces), event
    raise AssertionError("the run had no end")


async def called(bridge: Bridge, prompt: Prompt) -> tuple[str, tuple[ToolCall, ...]]:
    """The text before the calls, and the calls."""
    pieces: list[str] = []
    calls: tuple[ToolCall, ...] = ()
    async for event in bridge.run(prompt):
        match event:
            case Text():
                pieces.append(event.text)
            case ToolCalls():
                calls = event.calls
            case Done():
                assert event.usage is None
    return "".join(pieces), calls


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def pid(bridge: Bridge) -> int:
    assert bridge._connection is not None
    return bridge._connection.link.process.pid
