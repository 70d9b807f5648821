"""A clock for tests: an hour of waiting passes in a blink, and every pause is remembered."""

from __future__ import annotations

import threading
import time


class FakeClock:
    """Starts at the real time, moves only by sleeping. Real threads get a moment at each pause."""

    def __init__(self, *, start: float | None = None) -> None:
        self._lock = threading.Lock()
        self._now = time.time() if start is None else start
        self.pauses: list[float] = []

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.pauses.append(seconds)
        time.sleep(0.005)
