"""Sums by day, kept in the data folder: how many requests, tokens, dollars, errors. No word of anybody's."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from app.errors import AppError
from app.files import read_private, write_private

FILE = "activity.json"
KEPT = 400  # days
log = logging.getLogger("app.activity")


class Day(msgspec.Struct, frozen=True):
    """One day's sums, by this machine's calendar; `cost` is in USD by list price."""

    requests: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Day) -> Day:
        return Day(
            self.requests + other.requests,
            self.errors + other.errors,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            round(self.cost + other.cost, 8),
        )

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.tokens_in + self.tokens_out


Days = dict[datetime.date, Day]


class _File(msgspec.Struct):
    version: int = 1
    days: dict[datetime.date, Day] = {}


def load(folder: Path) -> Days:
    """Read the sums; a file that cannot be read is set aside, and counting begins anew."""
    path = folder / FILE
    try:
        return msgspec.json.decode(read_private(path), type=_File).days
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # msgspec's errors and a wrong encoding are ValueErrors
        _set_aside(path, error)
        return {}


def save(folder: Path, days: Mapping[datetime.date, Day]) -> None:
    """Write the newest days, whole or not at all. Raises AppError."""
    newest = sorted(days)[-KEPT:]
    data = msgspec.json.encode(_File(days={day: days[day] for day in newest}))
    write_private(folder / FILE, msgspec.json.format(data, indent=1) + b"\n")


def _set_aside(path: Path, error: Exception) -> None:
    aside = path.with_name(f"{path.name}.broken")
    try:
        path.replace(aside)
    except OSError:
        log.warning("%s cannot be read (%s); sums begin anew", path.name, type(error).__name__)
    else:
        log.warning("%s was broken and is now %s; sums begin anew", path.name, aside.name)


def save_or_warn(folder: Path, days: Mapping[datetime.date, Day]) -> None:
    """Write the newest days; a full disk is logged, and no reason to stop answering."""
    try:
        save(folder, days)
    except AppError as error:
        log.warning("the day's sums are not saved: %s", error)


def last(days: Mapping[datetime.date, Day], today: datetime.date, count: int) -> Days:
    """Give the last `count` days up to `today`, oldest first, with empty ones between."""
    dates = (today - datetime.timedelta(days=back) for back in range(count - 1, -1, -1))
    return {date: days.get(date, Day()) for date in dates}
