"""The feeds that were public: each is kept as `feeds/<time>-<digest>.xml`, with who put it there and why.

The time is when the public feed was written, as the bucket has it, and the digest that of its content. So a
kept feed has the same name whoever keeps it, and keeping it twice is keeping it once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from appcast import xml
from appcast.feed import Feed, find
from errors import Exit, Fault
from release.objects import FEED_TYPE, FEEDS, IMMUTABLE
from release.s3 import Changed
from release.store import Object, Store, digest_of
from signing import eddsa

_KEY = re.compile(re.escape(FEEDS) + r"(?P<time>\d{8}T\d{6}Z)-[0-9a-f]{12}\.xml")


@dataclass(frozen=True, slots=True)
class Kept:
    """A feed that is or was public: its object, with the metadata of the publisher, and its bytes."""

    object: Object
    data: bytes

    @property
    def action(self) -> str:
        """What was done to make this feed public; "" if nobody noted it."""
        return self.object.metadata.get("action", "")

    @property
    def release(self) -> str:
        """With which release it was done, version-build."""
        return self.object.metadata.get("release", "")

    @property
    def withdrawn(self) -> tuple[str, ...]:
        """The builds that were taken back with it."""
        return tuple(self.object.metadata.get("withdrawn", "").split())

    @property
    def publisher(self) -> str:
        """Who did it."""
        return self.object.metadata.get("publisher", "unknown")

    @property
    def at(self) -> str:
        """When, UTC, ISO 8601: noted to the microsecond, else as the bucket knows it."""
        return self.object.metadata.get("at") or _stamp(self.object)

    @property
    def when(self) -> str:
        """When, to the minute, for people."""
        return f"{datetime.fromisoformat(self.at):%Y-%m-%d %H:%M} UTC"

    @property
    def deed(self) -> str:
        """Who did what when, in a few words."""
        who = self.publisher.partition(" <")[0]
        return f"{self.action or 'changed'} {self.release}".strip() + f" by {who}, {self.when}"

    def feed(self, base_url: str) -> Feed:
        """Read it. Its signature is not looked at: that is for who wants to make it public again."""
        return xml.parse(eddsa.read_feed(self.data).content, base_url=base_url)


def key_of(public: Object, data: bytes) -> str:
    """Where a feed is kept. `public`: the feed as the public has it."""
    return f"{FEEDS}{_stamp(public)}-{digest_of(data)[:12]}.xml"


def keep(store: Store, public: Object, data: bytes) -> str:
    """Keep a feed that is public; return its key. Nothing is sent if it is kept already."""
    key = key_of(public, data)
    if store.head(key) is None:
        with suppress(Changed):  # somebody else has kept the same feed: the name holds the digest
            store.put(
                key,
                data,
                content_type=FEED_TYPE,
                cache_control=IMMUTABLE,
                if_none_match="*",
                metadata=public.metadata,
            )
    return key


def keys(store: Store) -> list[str]:
    """List the kept feeds, the latest first (in any order within one second)."""
    return sorted((entry.key for entry in store.list(FEEDS) if _KEY.fullmatch(entry.key)), reverse=True)


def walk(store: Store) -> Iterator[Kept]:
    """Yield the kept feeds, the latest first, each fetched when it is its turn."""
    for _, same_second in groupby(keys(store), key=lambda key: key[: len(FEEDS) + 16]):
        found = [Kept(*got) for key in same_second if (got := store.get(key)) is not None]
        yield from sorted(found, key=lambda kept: kept.at, reverse=True)


def notes(store: Store) -> list[Kept]:
    """Return all kept feeds, the latest first, with who, what and when, but without their bytes."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found = [Kept(entry, b"") for entry in pool.map(store.head, keys(store)) if entry is not None]
    return sorted(found, key=lambda kept: (kept.object.key[: len(FEEDS) + 16], kept.at), reverse=True)


def left(store: Store, build: str, base_url: str, now: Kept) -> Kept | None:
    """Return the feed with which a build that `now` does not offer went; None if it was never offered."""
    after = now
    for kept in walk(store):
        if find(kept.feed(base_url), build) is not None:
            return after
        after = kept
    return None


def _stamp(public: Object) -> str:
    if public.modified is None:
        raise Fault(
            "the bucket does not say when the feed was written", where=public.key, status=Exit.PUBLISH
        )
    return format(datetime.astimezone(public.modified, UTC), "%Y%m%dT%H%M%SZ")
