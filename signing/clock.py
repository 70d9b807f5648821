"""Time as something handed in, so that a test waits an hour in no time at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol


class Clock(Protocol):
    """What waiting needs: the time, and a pause."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """See Clock.now."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        time.sleep(seconds)


def backoff(first: float, limit: float, *, factor: float = 2.0) -> Iterator[float]:
    """Yield pauses in seconds for ever: `first`, then each `factor` times the one before, up to `limit`."""
    pause = first
    while True:
        yield min(pause, limit)
        pause = min(pause * factor, limit)
