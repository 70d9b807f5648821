"""`latest`, where the download button leads: always the image of the feed's newest item for everybody."""

from __future__ import annotations

from errors import Exit, Fault
from release.objects import (
    FEED_KEY,
    IMAGE_TYPE,
    RELEASES,
    SHORT,
    Placed,
    disposition,
    for_everybody,
    image_key,
)
from release.public import PublicSide
from release.s3 import Changed
from release.store import Object

TRIES = 8


def follow(side: PublicSide, *, remove: bool = False) -> Placed:
    """Bring `latest` in line with the feed that is public.

    Looks at the feed again afterwards: who overtakes another's change of the feed, but not their change of
    `latest`, puts it right. If nothing is for everybody, `latest` stays, or is removed if so wished.
    """
    for _ in range(TRIES):
        feed = side.read()
        wanted = image_key(for_everybody(feed.feed)) if feed else None
        try:
            placed = _copy(side, wanted) if wanted else _without(side, remove)
        except Changed:  # the image is gone: the feed must be another by now
            continue
        now = side.store.head(FEED_KEY)
        if placed.action in ("unchanged", "left") or (feed and now and now.etag == feed.etag):
            return placed
    raise Fault(
        "the feed keeps changing while `latest` is to follow it",
        where=side.latest_key,
        cure="run it again",
        status=Exit.CONFLICT,
    )


def _copy(side: PublicSide, key: str) -> Placed:
    image, now = side.store.head(key), side.store.head(side.latest_key)
    if image is None:
        raise Changed("the image is gone", where=key)
    name = disposition(key.removeprefix(RELEASES))
    if now is not None and _same(now, image) and (now.cache_control, now.disposition) == (SHORT, name):
        return Placed(side.latest_key, "unchanged", image.size, now.etag)
    etag = side.store.copy(
        image, side.latest_key, content_type=IMAGE_TYPE, cache_control=SHORT, disposition=name
    )
    return Placed(side.latest_key, "copied", image.size, etag)


def _same(one: Object, other: Object) -> bool:
    return one.size == other.size and one.sha256 is not None and one.sha256 == other.sha256


def _without(side: PublicSide, remove: bool) -> Placed:
    now = side.store.head(side.latest_key)
    if now is None or not remove:
        return Placed(side.latest_key, "left", now.size if now else 0, now.etag if now else "")
    side.store.delete(side.latest_key)
    return Placed(side.latest_key, "removed", now.size)
