"""Running a real bridge in a test."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from app.cursor.client import Bridge, Prompt, Turn
from app.cursor.frames import Done, Text
from app.cursor.models import COMPOSER
from app.settings import Settings
from tests.app.conftest import KEY


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


async def collect(bridge: Bridge, text: str, **changes: Any) -> tuple[str, Done]:
    """The answer's text and its end."""
    prompt = dataclasses.replace(asking(text), **changes)
    pieces = []
    async for event in bridge.run(prompt):
        match event:
            case Text():
                pieces.append(event.text)
            case Done():
                return "".join(pieces), event
    raise AssertionError("the run had no end")


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
