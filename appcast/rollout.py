"""Phased rollouts, held and let go again.

Sparkle puts every Mac into one of seven groups, and group n waits n times the item's interval after its
pubDate. It knows no pause. What comes to the same: an interval so long that no further group's turn comes,
and a pubDate moved back so that the groups which had their turn keep it. What the two were, an element of
the item's own remembers, which Sparkle passes over:

    <rollout published="…" interval="86400" delay="7200" paused="…" completed="…"/>

`published` is the date of the release, `interval` its seconds between groups, `delay` the seconds that it was
paused so far. Whoever asks for updates by hand is offered the item at any time: Sparkle's groups wait only
in automatic checks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lxml import etree

from appcast.client import GROUPS
from appcast.feed import FeedFault, Item
from appcast.history import NAMESPACE

HOLD = 5 * 365 * 86400
"""The interval, in seconds, of an item that is held: five years."""

TAG = f"{{{NAMESPACE}}}rollout"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How an item is rolled out. `interval` and `delay` in seconds; times with their zone, whole seconds."""

    published: datetime
    interval: int
    delay: int = 0
    paused: datetime | None = None
    completed: datetime | None = None

    def groups(self, now: datetime) -> int:
        """Return how many of the seven groups have had their turn, 1 to 7."""
        if self.completed is not None:
            return GROUPS
        waited = (self.paused or now) - self.published - timedelta(seconds=self.delay)
        return max(1, min(GROUPS, int(waited.total_seconds() // self.interval) + 1))


def rollout(item: Item) -> Rollout | None:
    """Return how an item is, or was, rolled out in phases; None if it never was. Raises FeedFault."""
    for text in item.extra:
        node = etree.fromstring(text)
        if node.tag == TAG:
            return _read(node)
    if not item.phased_rollout_interval or item.published is None:
        return None
    return Rollout(item.published, item.phased_rollout_interval)


def released(item: Item) -> datetime | None:
    """Return when an item was released, whatever a pause has made of its pubDate."""
    known = rollout(item)
    return item.published if known is None else known.published


def pause(item: Item, now: datetime) -> Item:
    """Hold the rollout: the groups that had their turn keep it, no other gets one. Raises FeedFault."""
    known = _running(item, now)
    if known.paused is not None:
        raise FeedFault(f"{item.version} is paused already, since {known.paused:%d %b %Y %H:%M %Z}")
    held = replace(known, paused=now.replace(microsecond=0))
    had = held.groups(now) - 1
    turn = held.published + timedelta(seconds=held.delay + had * held.interval)
    return _with(item, held, turn - timedelta(seconds=had * HOLD), HOLD)


def resume(item: Item, now: datetime) -> Item:
    """Let a held rollout go on: the next group waits as long as it still had to. Raises FeedFault."""
    known = _running(item, now)
    if known.paused is None:
        raise FeedFault(f"{item.version} is not paused", cure="--pause holds a rollout")
    delay = known.delay + max(0, int((now - known.paused).total_seconds()))
    goes = replace(known, delay=delay, paused=None)
    return _with(item, goes, goes.published + timedelta(seconds=delay), goes.interval)


def complete(item: Item, now: datetime) -> Item:
    """Offer the item to all groups from now on. Raises FeedFault."""
    known = replace(_running(item, now), paused=None, completed=now.replace(microsecond=0))
    return _with(item, known, known.published, None)


def same_but_for_rollout(one: Item, other: Item) -> bool:
    """Tell whether two items differ in nothing but how far they are rolled out."""
    return _bare(one) == _bare(other)


def _running(item: Item, now: datetime) -> Rollout:
    known = rollout(item)
    if known is None:
        raise FeedFault(
            f"{item.version} is not rolled out in phases: everybody is offered it",
            cure="feed.phased_rollout_interval makes a phased rollout of the next release",
        )
    if known.groups(now) == GROUPS and known.paused is None:
        raise FeedFault(
            f"{item.version} has reached all {GROUPS} groups",
            cure="./invoke yank takes it back from those who don't have it yet",
        )
    return known


def _with(item: Item, known: Rollout, published: datetime, interval: int | None) -> Item:
    return replace(
        item,
        published=published,
        phased_rollout_interval=interval,
        extra=(*_others(item), _element(known)),
    )


def _bare(item: Item) -> Item:
    return replace(
        item, published=released(item), phased_rollout_interval=_interval(item), extra=_others(item)
    )


def _interval(item: Item) -> int | None:
    known = rollout(item)
    return None if known is None else known.interval


def _others(item: Item) -> tuple[str, ...]:
    return tuple(text for text in item.extra if etree.fromstring(text).tag != TAG)


def _read(node: etree._Element) -> Rollout:
    try:
        return Rollout(
            datetime.fromisoformat(node.get("published", "")),
            int(node.get("interval", "")),
            int(node.get("delay", "0")),
            _moment(node.get("paused")),
            _moment(node.get("completed")),
        )
    except ValueError:
        raise FeedFault("the feed's record of a rollout is damaged", where=f"<{node.tag}>") from None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _element(known: Rollout) -> str:
    node = etree.Element(TAG, nsmap={"rollout": NAMESPACE})
    node.set("published", known.published.astimezone(UTC).isoformat())
    node.set("interval", str(known.interval))
    node.set("delay", str(known.delay))
    for name in ("paused", "completed"):
        moment: datetime | None = getattr(known, name)
        if moment is not None:
            node.set(name, moment.astimezone(UTC).isoformat())
    return str(etree.canonicalize(etree.tostring(node, encoding="unicode")))
