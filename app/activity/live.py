"""Requests while they run and after, for whoever watches; fed by the server's watchers."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from app.activity import days
from app.activity.days import Day

RECENT = 200  # calls kept, in memory
SAVE_EVERY = 5.0  # seconds between writes of the sums, at least
BROWSER = "Mozilla"  # what every browser begins with
BEHIND = 500  # changed calls that one who watches may be behind; more than a page shows


class Call(msgspec.Struct, frozen=True):  # made at every step of every request, so it has to be cheap
    """One request to the API. `status` is None while it runs; `began` is epoch seconds, `ms` what it took.

    `first_ms` is the time to the answer's first byte, `cost` in USD by list price; `estimated` tells that the
    tokens were counted by length. `error` is a code.
    """

    id: str
    began: float
    path: str = ""
    agent: str = ""
    model: str | None = None
    stream: bool = False
    status: int | None = None
    ms: float | None = None
    first_ms: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    estimated: bool = False
    error: str | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None

    @property
    def left(self) -> bool:
        """Whether the client hung up, which is no failure."""
        return self.status in (0, 499) or self.error == "client_left"

    @property
    def failed(self) -> bool:
        """Whether it ended as an error."""
        return not self.running and not self.left and ((self.status or 0) >= 400 or self.error is not None)

    @property
    def day(self) -> Day:
        """What it adds to its day."""
        return Day(1, int(self.failed), self.tokens_in or 0, self.tokens_out or 0, self.cost or 0.0)


def call(known: dict[str, Any], *, over: bool) -> Call:
    """Make a call of what `app.server.visits` tells of a request."""
    get = known.get
    return Call(
        known["request"],
        known["time"],
        known["path"],
        known["agent"].partition("/")[0].replace(BROWSER, "a browser"),
        get("model"),
        get("stream") or False,
        known["status"] if over else None,
        known["ms"] if over else None,
        get("first_ms"),
        get("tokens_in"),
        get("tokens_out"),
        get("cost"),
        get("estimated") or False,
        get("error"),
    )


@dataclass(slots=True)
class Watch:
    """What has changed since one who watches looked last; `news` is set when there is something."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: dict[str, Call] = field(default_factory=dict)
    _behind: bool = False

    def tell(self, one: Call) -> None:
        """Note a change, in place of an earlier one of the same call."""
        self._changed[one.id] = one
        if len(self._changed) > BEHIND:
            self._changed.clear()
            self._behind = True
        self.news.set()

    def take(self) -> list[Call] | None:
        """Give the calls that changed, or None if they are too many and all is to be looked at anew."""
        behind, calls = self._behind, list(self._changed.values())
        self._changed.clear()
        self._behind = False
        self.news.clear()
        return None if behind else calls


@dataclass(slots=True)
class Activity:
    """What runs, what ran lately, and the sums by day, which are kept in `folder`."""

    folder: Path
    clock: Callable[[], float] = time.time
    running: dict[str, Call] = field(default_factory=dict)
    recent: deque[Call] = field(default_factory=lambda: deque(maxlen=RECENT))
    sums: days.Days = field(default_factory=dict)
    _watches: list[Watch] = field(default_factory=list)
    _saving: asyncio.Task[None] | None = None
    closed: bool = False

    @property
    def today(self) -> datetime.date:
        """This machine's date."""
        return datetime.datetime.fromtimestamp(self.clock()).date()

    def last(self, count: int) -> days.Days:
        """Give the sums of the last `count` days, oldest first."""
        return days.last(self.sums, self.today, count)

    def calls(self) -> list[Call]:
        """Give what runs and what ran lately, the newest first."""
        return sorted((*self.running.values(), *self.recent), key=lambda one: one.began, reverse=True)

    def open(self) -> None:
        """Read the sums of earlier days."""
        self.sums = days.load(self.folder)

    def heard(self, news: str, known: dict[str, Any]) -> None:
        """Take in a step of a request; a request for a model that is over is added to its day."""
        over = news == "ended"
        one = call(known, over=over)
        if over:
            self.running.pop(one.id, None)
            self.recent.append(one)
            if one.model is not None:
                self.sums[self.today] = self.sums.get(self.today, Day()) + one.day
                self._save_soon()
        else:
            self.running[one.id] = one
        for watch in self._watches:
            watch.tell(one)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Give what changes, while the block runs. Once this is `closed`, there is nothing more to see."""
        watch = Watch()
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def leave(self) -> None:
        """Let those who watch go: the server stops."""
        self.closed = True
        for watch in self._watches:
            watch.news.set()

    async def close(self) -> None:
        """Write what is not written yet."""
        self.leave()
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
            await self._save()

    def _save_soon(self) -> None:
        if self._saving is None and not self.closed:
            self._saving = asyncio.create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_EVERY)
        self._saving = None
        await self._save()

    async def _save(self) -> None:
        await asyncio.to_thread(days.save_or_warn, self.folder, dict(self.sums))
