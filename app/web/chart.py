"""The cost of each day as a bar chart, worked out for an SVG that needs no script."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from app.activity.days import Day, Days

WIDTH, HEIGHT = 600, 100
GAP = 0.28  # of a day's width
LEAST = 1.5  # the height of a bar that is not nothing
RULES = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's bar, in the chart's own units from the top left."""

    date: datetime.date
    day: Day
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal line."""

    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; `most` is the highest day's cost and `total` that of all, in USD."""

    bars: tuple[Bar, ...]
    most: float
    total: float
    lines: tuple[Rule, ...] = tuple(Rule(round(HEIGHT * part / RULES, 1)) for part in range(RULES + 1))
    width: int = WIDTH
    height: int = HEIGHT


def chart(days: Days) -> Chart:
    """Draw `days`, oldest first."""
    most = max(day.cost for day in days.values())
    slot = WIDTH / len(days)
    bars = []
    for number, (date, day) in enumerate(days.items()):
        height = max(LEAST, HEIGHT * day.cost / most) if day.cost else 0.0
        x, width = slot * (number + GAP / 2), slot * (1 - GAP)
        bars.append(Bar(date, day, round(x, 2), round(HEIGHT - height, 2), round(width, 2), round(height, 2)))
    return Chart(tuple(bars), most, sum(day.cost for day in days.values()))
