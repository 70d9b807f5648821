"""Numbers, times and errors as people read them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from app.errors import AppError


def sentence(error: AppError | str) -> str:
    """Give an error, or another text without a stop, as a sentence."""
    text = str(error)
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}." if first.islower() else f"{text}."  # macOS stays as it is


def about(usd: float) -> str:
    """Write a sum of US dollars in cents."""
    return "<$0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"


def money(usd: float) -> str:
    """Write US dollars, with as many digits as say something."""
    if usd == 0 or usd >= 0.995:
        return f"${usd:,.2f}"
    if usd < 0.000005:
        return "<$0.00001"
    return f"${usd:.3f}" if usd >= 0.01 else f"${usd:.5f}"


def count(number: int | None) -> str:
    """Write a count, long ones shortened: 950, 12.3k, 4.5M."""
    if number is None:
        return "–"
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if number >= size:
            unit = 1000 if letter == "k" else size
            return f"{number / unit:.1f}{letter}"
    return f"{number:,}"


def duration(ms: float | None) -> str:
    """Write milliseconds as people read them."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms / 60_000:.0f} min"


def clock(seconds: float) -> str:
    """Write epoch seconds as this machine's time of day."""
    return f"{datetime.datetime.fromtimestamp(seconds):%H:%M:%S}"


def moment(time: datetime.datetime) -> str:
    """Write a moment in this machine's time."""
    here = time.astimezone()
    return f"{day(here)} {here:%H:%M:%S}"


def day(date: datetime.date) -> str:
    """Write a date, short."""
    return f"{date.day} {date:%b}"


FILTERS: dict[str, Callable[[Any], str]] = {
    function.__name__: function for function in (sentence, about, money, count, duration, clock, moment, day)
}
"""The same, as filters of the templates."""
