"""What a change of the feed does to people: who is offered something else, who is left with what he has."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from appcast.audience import Row, audience, typical_hosts
from appcast.audience_merge import Axes, Group, merged
from appcast.feed import Feed


def changed(before: Feed, after: Feed, now: datetime) -> tuple[Group, ...]:
    """Return the kinds of Macs that are offered something else than before."""
    rows = audience(after, typical_hosts(before, after), now, before=before)
    return _together([row for row in rows if row.changed], before, after)


def stuck(before: Feed, after: Feed, builds: Collection[str], now: datetime) -> tuple[Group, ...]:
    """Return the kinds of Macs that may have one of `builds` and are offered nothing by `after`.

    Sparkle never goes back to a lower build: they keep what they have until a higher one is out.
    """
    rows = audience(after, typical_hosts(before, after), now)
    hopeless = [row for row in rows if row.host.version in builds and row.offer.version is None]
    return _together(hopeless, before, after)


def _together(rows: list[Row], *feeds: Feed) -> tuple[Group, ...]:
    return tuple(merged(rows, Axes.of([item for feed in feeds for item in feed.items])))
