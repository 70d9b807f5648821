"""Go back to a feed that was public: who has no update yet is not offered it any more.

Sparkle never installs a lower build, so whoever has the new one keeps it. That is what the next release is
for; a rollback says which build it has to exceed, and who waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from appcast import history as memory
from appcast.audience_merge import Group
from appcast.feed import Feed, Item, find
from appcast.versions import compare
from errors import Exit, Fault
from release import effects, history, latest, manifest
from release.change import change_feed, missing, overtaken, tell_caches
from release.feed import signer_of
from release.history import Kept
from release.objects import RELEASES, Placed, for_everybody
from release.public import PublicFeed, PublicSide


@dataclass(frozen=True, slots=True)
class Rollback:
    """What would be public again. `data` is the feed to the byte as it was, None if it has to be signed anew.

    `why` says why it has to be. `withdrawn` are the items that go, `restored` those that come back.
    `changes` are Macs that are offered something else; `stuck` have a withdrawn build and wait for one above
    `floor`, the highest build that ever was public.
    """

    before: PublicFeed
    to: Kept
    feed: Feed
    data: bytes | None
    why: str
    withdrawn: tuple[Item, ...]
    restored: tuple[Item, ...]
    changes: tuple[Group, ...]
    stuck: tuple[Group, ...]
    floor: str

    @property
    def done(self) -> bool:
        """Whether that very feed is public already, and at most `latest` has to follow."""
        return self.data == self.before.data

    @property
    def newest(self) -> Item | None:
        """The newest item for everybody, afterwards."""
        return for_everybody(self.feed)


@dataclass(frozen=True, slots=True)
class _Candidate:
    kept: Kept
    original: Feed
    feed: Feed
    lost: tuple[str, ...]


def plan(side: PublicSide, to: str = "") -> Rollback:
    """Find the feed to go back to: the last that offered everybody version or build `to`.

    Without `to`, the last that offered everybody a lower build than now; if a rollback was not finished, that
    is finished first. Kept feeds count if a key signed them that is trusted now or was, by the record in the
    public feed. Raises Fault PUBLISH if there is no such feed.
    """
    before = side.require()
    unfinished = not to and before.kept.action == "rollback" and not side.in_line(before.feed)
    if unfinished or (to and before.newest is not None and _is(before.newest, to)):
        return _plan(side, before, _Candidate(before.kept, before.feed, before.feed, ()))
    for candidate in _candidates(side, before):
        newest = for_everybody(candidate.feed)
        if newest is not None and (_is(newest, to) if to else _below(newest, before.newest)):
            return _plan(side, before, candidate)
    offered = f"that offered {to}" if to else "that offered everybody a lower build"
    raise Fault(
        f"there is no feed to go back to: none is kept {offered}",
        where=side.feed_url,
        cure="./invoke yank takes out one release; ./invoke releases shows all",
        status=Exit.PUBLISH,
    )


def roll_back(side: PublicSide, wanted: Rollback) -> tuple[Placed, tuple[str, ...]]:
    """Make the feed public again and let `latest` follow; return that and warnings. Safe to repeat.

    Raises Fault CONFLICT if somebody has changed the feed since it was planned.
    """

    def change(now: PublicFeed | None) -> Feed | bytes:
        if now is not None and now.data not in (wanted.before.data, wanted.data):
            raise overtaken(
                now.kept, Fault("the rollback was planned for another feed", cure="plan it again")
            )
        return wanted.data or wanted.feed

    newest = wanted.newest
    release = f"{newest.short_version or ''}-{newest.version}" if newest else "none"
    change_feed(side, change, action="rollback", release=release)
    return latest.follow(side), tell_caches(side)


def _candidates(side: PublicSide, before: PublicFeed) -> Iterator[_Candidate]:
    """Yield what was public, the latest first, without what was yanked since or whose files are gone."""
    present = {found.key: found.size for found in side.store.list(RELEASES)}
    keys = (*side.keys, *(one.public_key for one in memory.identities(before.feed)))
    yanked = set(_yanked(before.kept))
    for kept in history.walk(side.store):
        if kept.data != before.data and signer_of(kept.data, keys) is not None:
            original = kept.feed(side.feed_url)
            yield _candidate(kept, original, yanked, present)
        yanked |= set(_yanked(kept))


def _yanked(kept: Kept) -> Iterable[str]:
    return kept.withdrawn if kept.action == "yank" else ()


def _candidate(kept: Kept, original: Feed, yanked: set[str], present: dict[str, int]) -> _Candidate:
    items = [item for item in original.items if item.version not in yanked]
    out = [f"{item.version} was yanked since" for item in original.items if item.version in yanked]
    whole = [item for item in items if not missing(present, replace(original, items=(item,)))]
    out += [f"files of {item.version} are gone" for item in items if item not in whole]
    return _Candidate(kept, original, replace(original, items=tuple(whole)), tuple(out))


def _plan(side: PublicSide, before: PublicFeed, candidate: _Candidate) -> Rollback:
    feed, reasons = _with_record(candidate.feed, before.feed), list(candidate.lost)
    if feed.extra != candidate.feed.extra:
        reasons.append("the record of who signed what goes on")
    if signer_of(candidate.kept.data, (before.signer,)) is None:
        reasons.append("another key signs by now")
    withdrawn = _missing_in(before.feed, feed)
    builds, now = [item.version for item in withdrawn], side.now()
    return Rollback(
        before,
        candidate.kept,
        feed,
        None if reasons else candidate.kept.data,
        "; ".join(reasons),
        withdrawn,
        _missing_in(feed, before.feed),
        effects.changed(before.feed, feed, now),
        effects.stuck(before.feed, feed, builds, now),
        manifest.highest(side.store, before.feed),
    )


def _with_record(feed: Feed, public: Feed) -> Feed:
    """Take over who signed what since then: installed apps have it, the feed must not forget it."""
    known = memory.identities(feed)
    for one in memory.identities(public):
        if not any(one.same_signers(other) for other in known):
            feed = memory.record(feed, one)
    return feed


def _missing_in(one: Feed, other: Feed) -> tuple[Item, ...]:
    return tuple(item for item in one.items if find(other, item.version) is None)


def _is(item: Item, wanted: str) -> bool:
    return wanted in (item.version, item.short_version)


def _below(item: Item, other: Item | None) -> bool:
    return other is None or compare(item.version, other.version) < 0
