"""The one way to change the public feed, whatever the change: see `change_feed`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from appcast import xml
from appcast.feed import Feed, find
from appcast.lint import AppFacts
from errors import Exit, Fault
from release import history
from release.feed import open_feed, require_sound
from release.history import Kept
from release.objects import FEED_KEY, FEED_TYPE, RELEASES, SHORT, key_of, targets
from release.public import PublicFeed, PublicSide
from release.publisher import Deed
from release.s3 import Changed
from release.store import Store
from signing import eddsa
from signing.clock import backoff
from signing.eddsa import PrivateKey

TRIES = 8

Change = Callable[[PublicFeed | None], Feed | bytes]
"""From the feed that is public to the one that is to be: not signed yet, or bytes that are."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a change did. `feed` is what is public; `before` what was, `sent` whether anything was written."""

    before: PublicFeed | None
    feed: Feed
    data: bytes
    sent: bool
    warnings: tuple[str, ...] = ()


def change_feed(
    side: PublicSide,
    change: Change,
    *,
    action: Deed,
    release: str,
    key: PrivateKey | None = None,
    app: AppFacts | None = None,
) -> Written:
    """Replace the public feed by what `change` makes of it, and by nothing else.

    Read it, check its signature, change, sign (with `key`, else the key that signed it), lint (against `app`,
    if given), look whether everything it points to is there, keep the old one, and write only over what was
    read. If somebody else wrote meanwhile, all of that again: `change` sees their feed and may refuse it.
    `action` and `release` are noted with the feed. Raises what `change` raises; Fault CONFLICT if others keep
    writing, APPCAST, PUBLISH, and what the store does.
    """
    for pause in (*islice(backoff(0.2, 5), TRIES - 1), None):
        written = _attempt(side, change, action, release, key, app)
        if written is not None:
            return written
        if pause is not None:
            side.clock.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # two must not meet again
    raise Fault(
        f"others changed the feed each of the {TRIES} times that this was to be written",
        where=side.feed_url,
        cure="run it again when they are done",
        status=Exit.CONFLICT,
    )


def _attempt(
    side: PublicSide,
    change: Change,
    action: Deed,
    release: str,
    key: PrivateKey | None,
    app: AppFacts | None,
) -> Written | None:
    """Change the feed; None if somebody else was faster."""
    before = side.read()
    after = change(before)
    if before is not None and after in (before.feed, before.data):
        history.keep(side.store, before.kept.object, before.data)  # a crash may have come before that
        return Written(before, before.feed, before.data, sent=False)
    data, feed = _signed(side, after, before, key)
    warnings = require_sound(data, side.feed_url, app, before.feed if before else None)
    require_targets(side.store, feed)
    if before is not None:
        history.keep(side.store, before.kept.object, before.data)
    if not _put(side, data, feed, before, action, release):
        return None
    now = side.store.get(FEED_KEY)
    if now is not None and now[1] == data:  # else somebody has replaced, and thus kept it
        history.keep(side.store, *now)
    return Written(before, feed, data, True, tuple(one.what for one in warnings))


def _signed(
    side: PublicSide, after: Feed | bytes, before: PublicFeed | None, key: PrivateKey | None
) -> tuple[bytes, Feed]:
    if isinstance(after, bytes):
        return after, open_feed(after, side.feed_url, side.keys)
    key = key or side.signer(before.signer if before else None)
    return eddsa.sign_feed(xml.render(after), key), after


def _put(
    side: PublicSide, data: bytes, feed: Feed, before: PublicFeed | None, action: Deed, release: str
) -> bool:
    """Write the feed in place of `before`; False if that is not what is public any more."""
    try:
        side.store.put(
            FEED_KEY,
            data,
            content_type=FEED_TYPE,
            cache_control=SHORT,
            if_match=before.etag if before else None,
            if_none_match=None if before else "*",
            metadata=side.publisher.note(action, release, side.now()) | _withdrawn(before, feed, action),
        )
    except Changed:
        now = side.store.get(FEED_KEY)
        return now is not None and now[1] == data  # written by us after all, and the answer got lost
    return True


def _withdrawn(before: PublicFeed | None, after: Feed, action: Deed) -> dict[str, str]:
    """Note what is taken back; what only makes room for newer releases is not."""
    if before is None or action not in ("rollback", "yank"):
        return {}
    gone = [item.version for item in before.feed.items if find(after, item.version) is None]
    return {"withdrawn": " ".join(gone)} if gone else {}


def require_targets(store: Store, feed: Feed) -> None:
    """Refuse a feed that points to an object which is not in the bucket, or of another length."""
    present = {found.key: found.size for found in store.list(RELEASES)}
    problems = missing(present, feed)
    if problems:
        raise Fault(
            "the feed points at what the bucket does not hold",
            details=problems,
            cure="put the objects back, or take the items out of the feed",
            status=Exit.PUBLISH,
        )


def missing(present: dict[str, int], feed: Feed) -> tuple[str, ...]:
    """Say what a feed points to that is not `present` (key → size in bytes), or of another length."""
    problems = []
    for item in feed.items:
        for url, length in targets(item):
            key = key_of(url)
            size = present.get(key) if key else None
            name = (key or "").removeprefix(RELEASES)
            if key and size is None:
                problems.append(f"version {item.version}: {name} is not there")
            elif key and length is not None and size != length:
                problems.append(f"version {item.version}: {name} has {size} bytes, not {length}")
    return tuple(problems)


def tell_caches(side: PublicSide, keys: Sequence[str] = ()) -> tuple[str, ...]:
    """Let caches forget feed, `latest` and these objects; return what people have to know if that fails."""
    changed = (FEED_KEY, side.latest_key, *keys)
    try:
        side.purge([f"{side.site}/download", *map(side.url, changed)])
    except Fault as fault:
        return (f"{fault.what}: {fault.cure}",)
    return ()


def overtaken(by: Kept, fault: Fault) -> Fault:
    """Make the fault of one who came second and cannot follow: what the other has published."""
    return Fault(
        "somebody else has changed the public feed meanwhile, and this cannot follow it",
        where=FEED_KEY,
        details=(by.deed, fault.what, *fault.details),
        cure=fault.cure,
        status=Exit.CONFLICT,
    )
