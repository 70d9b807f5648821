"""Take one release out of the feed. Its files stay, for those who are downloading them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from appcast.audience_merge import Group
from appcast.client import channel_of
from appcast.feed import Feed, Item, find
from errors import Exit, Fault
from release import effects, latest
from release.change import change_feed, tell_caches
from release.feed import STABLE
from release.objects import Placed
from release.public import PublicFeed, PublicSide


@dataclass(frozen=True, slots=True)
class Yank:
    """What would go. `item` is None if it is gone already. `changes`: who is offered something else."""

    build: str
    item: Item | None
    feed: Feed
    changes: tuple[Group, ...] = ()
    stuck: tuple[Group, ...] = ()
    empties: str = ""


def plan(side: PublicSide, version: str, *, force: bool = False) -> Yank:
    """Find the release and say what becomes of people. `version`: version or build.

    Raises Fault USAGE if the feed has none or several of it, APPCAST if a channel would be empty, unless
    `force`.
    """
    before = side.require()
    if version in before.kept.withdrawn and before.kept.action == "yank":
        return Yank(version, None, before.feed)
    item = _find(before.feed, version)
    after, now = _without(before.feed, item, force), side.now()
    return Yank(
        item.version,
        item,
        after,
        effects.changed(before.feed, after, now),
        effects.stuck(before.feed, after, [item.version], now),
        "" if _others(before.feed, item) else channel_of(item) or STABLE,
    )


def yank(side: PublicSide, wanted: Yank, *, force: bool = False) -> tuple[Placed, tuple[str, ...]]:
    """Take it out and let `latest` follow; return that and warnings. Safe to repeat.

    If nothing is left for everybody (`force`), `latest` goes, too.
    """
    item = wanted.item

    def change(before: PublicFeed | None) -> Feed:
        if before is None:
            raise Fault("the feed is gone", where=side.feed_url, status=Exit.PUBLISH)
        if item is None or find(before.feed, item.version) is None:
            return before.feed  # out already; whoever did it may have been stopped before the feed was kept
        return _without(before.feed, item, force)

    name = wanted.build if item is None else f"{item.short_version or ''}-{item.version}"
    change_feed(side, change, action="yank", release=name)
    return latest.follow(side, remove=force), tell_caches(side)


def _find(feed: Feed, version: str) -> Item:
    exact = [item for item in feed.items if item.version == version]
    found = exact or [item for item in feed.items if item.short_version == version]
    if len(found) == 1:
        return found[0]
    offered = ", ".join(f"{item.short_version} ({item.version})" for item in feed.items) or "nothing"
    what = f"several builds of {version} are" if found else f"no version or build {version!r} is"
    raise Fault(
        f"{what} in the feed",
        details=(f"it offers {offered}",),
        cure="name a build of these",
        status=Exit.USAGE,
    )


def _others(feed: Feed, item: Item) -> list[Item]:
    return [
        other
        for other in feed.items
        if other.version != item.version and channel_of(other) == channel_of(item)
    ]


def _without(feed: Feed, item: Item, force: bool) -> Feed:
    if not _others(feed, item) and not force:
        raise Fault(
            f"{item.version} is all that the channel {channel_of(item) or STABLE!r} has",
            cure="publish a better one first, or leave those Macs without an update: --force",
            status=Exit.APPCAST,
        )
    return replace(feed, items=tuple(other for other in feed.items if other.version != item.version))
