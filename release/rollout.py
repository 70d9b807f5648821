"""Hold a phased rollout, let it go on, or offer it to everybody; appcast.rollout knows how that is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from appcast import rollout as phases
from appcast.audience_merge import Group
from appcast.client import GROUPS
from appcast.feed import Feed, Item
from errors import Exit, Fault
from release import effects
from release.change import change_feed, tell_caches
from release.public import PublicFeed, PublicSide

What = Literal["pause", "resume", "complete"]
_DO: dict[What, Callable[[Item, datetime], Item]] = {
    "pause": phases.pause,
    "resume": phases.resume,
    "complete": phases.complete,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What would become of an item's rollout: `item` before, `after` afterwards, at the moment `now`."""

    what: What
    item: Item
    after: Item
    now: datetime
    changes: tuple[Group, ...]


def plan(side: PublicSide, what: What, version: str = "") -> Turn:
    """Find the rollout (of `version` or build; else the only one) and say what becomes of people.

    Raises FeedFault if that can't be done to it, Fault USAGE if it is not clear which one is meant.
    """
    before, now = side.require(), side.now()
    item = _find(before.feed, version, now)
    after = _DO[what](item, now)
    return Turn(what, item, after, now, effects.changed(before.feed, _with(before.feed, after), now))


def turn(side: PublicSide, wanted: Turn) -> tuple[str, ...]:
    """Do it; return warnings."""

    def change(before: PublicFeed | None) -> Feed:
        feed = before.feed if before else Feed("")
        item = _find(feed, wanted.item.version, wanted.now)
        if item != wanted.item:
            raise Fault(
                f"somebody else has changed {item.version} meanwhile",
                cure="run it again",
                status=Exit.CONFLICT,
            )
        return _with(feed, wanted.after)

    release = f"{wanted.item.short_version or ''}-{wanted.item.version}"
    change_feed(side, change, action=wanted.what, release=release)
    return tell_caches(side)


def _with(feed: Feed, item: Item) -> Feed:
    return replace(
        feed, items=tuple(item if other.version == item.version else other for other in feed.items)
    )


def _find(feed: Feed, version: str, now: datetime) -> Item:
    if version:
        found = [item for item in feed.items if item.version == version]
        found = found or [item for item in feed.items if item.short_version == version]
    else:
        found = [item for item in feed.items if _is_under_way(item, now)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{item.short_version} ({item.version})" for item in found or feed.items)
    what = "several releases are meant" if found else f"the feed has no {version}" if version else ""
    raise Fault(
        what or "nothing is rolled out in phases",
        details=(f"they are {names}" if found else f"it offers {names}",) if names else (),
        cure="name a build" if version or found else "feed.phased_rollout_interval makes such a release",
        status=Exit.USAGE,
    )


def _is_under_way(item: Item, now: datetime) -> bool:
    known = phases.rollout(item)
    return known is not None and (known.paused is not None or known.groups(now) < GROUPS)
