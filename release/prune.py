"""Remove what nobody needs any more: old builds with all that came with them, and feeds that offered them.

What the feed, a feed that a rollback may go to, `latest` or a remaining manifest refers to stays. First go
the kept feeds and manifests, then what they point to; `pruning.json` lists that meanwhile, so that the next
prune removes what a killed one has left.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appcast.feed import Feed
from appcast.versions import key as order
from errors import Exit, Fault
from release import history, manifest
from release.feed import STABLE
from release.history import Kept
from release.manifest import Manifest
from release.objects import FEED_KEY, JSON_TYPE, RELEASES, SHORT, for_everybody, key_of, targets
from release.public import PublicFeed, PublicSide

PENDING = "pruning.json"


@dataclass(frozen=True, slots=True)
class Prune:
    """What would go, and stay. `objects` are keys with their size in bytes, `feeds` keys of kept feeds.

    `newest` are manifests of versions whose newest build goes: (version, what takes its place). `unknown`
    are keys that nothing accounts for; they stay.
    """

    etag: str
    releases: tuple[Manifest, ...]
    staying: tuple[Manifest, ...]
    feeds: tuple[str, ...]
    objects: tuple[tuple[str, int], ...]
    newest: tuple[tuple[str, Manifest | None], ...]
    unknown: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes that become free."""
        return sum(size for _, size in self.objects)

    @property
    def nothing(self) -> bool:
        """Tell whether there is nothing to remove."""
        return not (self.releases or self.objects or self.feeds)


def plan(side: PublicSide, keep: int) -> Prune:
    """Keep the newest `keep` builds of each channel, and so many releases to roll back to. Removes nothing.

    Raises Fault USAGE if nothing would be kept.
    """
    if keep < 1:
        raise Fault(f"--keep {keep} would keep nothing", cure="--keep 1, or more", status=Exit.USAGE)
    before = side.require()
    sizes = {found.key: found.size for found in side.store.list(RELEASES)}
    manifests = manifest.load_all(side.store, manifest.builds(side.store))
    kept = [(one, one.feed(side.feed_url)) for one in history.walk(side.store)]
    recent = _recent(before, kept, keep)
    needed = _pointed_to([before.feed, *recent])
    going = _going(side, before, manifests, needed, keep)
    staying = [made for made in manifests if made not in going]
    needed |= {one.key for made in staying for one in made.objects} | {side.latest_key}
    gone = [one.key for made in going for one in made.objects] + _pending(side)
    objects = sorted((key, sizes[key]) for key in set(gone) - needed if key in sizes)
    removed = {key for key, _ in objects}
    feeds = [one for one, feed in kept if not _pointed_to([feed]) <= sizes.keys() - removed]
    accounted = needed | removed | _pointed_to([feed for _, feed in kept]) | _manifest_keys(manifests)
    return Prune(
        before.etag,
        tuple(going),
        tuple(staying),
        tuple(one.object.key for one in feeds if one.data != before.data),
        tuple(objects),
        tuple(_successors(going, staying)),
        tuple(sorted(sizes.keys() - accounted)),
    )


def prune(side: PublicSide, wanted: Prune) -> None:
    """Remove it, in an order that leaves nothing pointing at what is gone. Safe to repeat after a crash.

    Raises Fault CONFLICT if the feed is another by now than it was planned for.
    """
    _require_unchanged(side, wanted)
    _note(side, [key for key, _ in wanted.objects])
    for key in wanted.feeds:
        side.store.delete(key)
    for version, successor in wanted.newest:
        _replace_newest(side, version, successor)
    for made in wanted.releases:
        side.store.delete(manifest.key_of(made.version, made.build))
    _require_unchanged(side, wanted)
    for key, _ in wanted.objects:
        side.store.delete(key)
    side.store.delete(PENDING)


def _recent(before: PublicFeed, kept: Sequence[tuple[Kept, Feed]], keep: int) -> list[Feed]:
    """Return the feeds that a rollback may go to: the last ones, until `keep` other releases were newest."""
    found: list[Feed] = []
    newest: set[str] = set()
    for one, feed in kept:
        item = for_everybody(feed)
        if one.data == before.data or item is None:
            continue
        if before.newest is None or item.version != before.newest.version:
            newest.add(item.version)
        if len(newest) > keep:
            break
        found.append(feed)
    return found


def _going(
    side: PublicSide, before: PublicFeed, manifests: Iterable[Manifest], needed: set[str], keep: int
) -> list[Manifest]:
    """Return the builds that may go: of those that come after the newest `keep` of their channel."""
    channels: dict[str, list[Manifest]] = defaultdict(list)
    for made in sorted(manifests, key=lambda one: order(one.build), reverse=True):
        channels[made.channel].append(made)
    latest = side.store.head(side.latest_key)
    offered = {
        channel: [item.version for item in before.feed.items if (item.channel or STABLE) == channel]
        for channel in channels
    }
    return [
        made
        for channel, all_of_it in channels.items()
        for made in all_of_it[keep:]
        if made.image.key not in needed
        and (latest is None or latest.sha256 != made.image.sha256)
        # a higher build than any on offer may be about to be published this very moment
        and order(made.build) < max(map(order, offered[channel]), default=order(all_of_it[0].build))
    ]


def _pointed_to(feeds: Iterable[Feed]) -> set[str]:
    """Return the keys of all objects of ours that feeds point to."""
    return {key for feed in feeds for item in feed.items for url, _ in targets(item) if (key := key_of(url))}


def _manifest_keys(manifests: Iterable[Manifest]) -> set[str]:
    return {
        key
        for made in manifests
        for key in (manifest.key_of(made.version, made.build), manifest.newest_key(made.version))
    }


def _successors(going: Sequence[Manifest], staying: Sequence[Manifest]) -> list[tuple[str, Manifest | None]]:
    """Return the versions whose newest build goes, with the manifest that takes its place."""
    found = []
    for version in sorted({made.version for made in going}):
        rest = [made for made in staying if made.version == version]
        gone = max(order(made.build) for made in going if made.version == version)
        best = max(rest, key=lambda made: order(made.build), default=None)
        if best is None or order(best.build) < gone:
            found.append((version, best))
    return found


def _replace_newest(side: PublicSide, version: str, successor: Manifest | None) -> None:
    key = manifest.newest_key(version)
    if successor is None:
        side.store.delete(key)
    else:
        side.store.put(key, manifest.render(successor), content_type=JSON_TYPE, cache_control=SHORT)


def _require_unchanged(side: PublicSide, wanted: Prune) -> None:
    now = side.store.head(FEED_KEY)
    if now is None or now.etag != wanted.etag:
        raise Fault(
            "the feed has changed since this was planned",
            where=side.feed_url,
            cure="run it again: it looks anew at what is needed",
            status=Exit.CONFLICT,
        )


def _pending(side: PublicSide) -> list[str]:
    """Return what an earlier prune was about to remove."""
    found = side.store.get(PENDING)
    if found is None:
        return []
    keys = json.loads(found[1]).get("keys", [])
    return [key for key in keys if isinstance(key, str) and key.startswith(RELEASES)]


def _note(side: PublicSide, keys: list[str]) -> None:
    data = json.dumps({"format": 1, "keys": keys}, indent=1).encode() + b"\n"
    side.store.put(PENDING, data, content_type=JSON_TYPE, cache_control="no-store")
