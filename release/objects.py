"""What lies in the bucket, where, and how it is served.

appcast.xml                       the feed; replaced only by whoever knows what he replaces
feeds/<time>-<digest>.xml         every feed that was public (release/history.py)
releases/<image>                  a disk image; created once, never changed
releases/<attachment>             what a release brings beside its image: notes, bill of materials, …
releases/<version>/<build>.json   the manifest of a build; created once (release/manifest.py)
releases/<version>/manifest.json  the manifest of that version's newest build
releases/<…>-latest.dmg           where the download button leads
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from appcast.client import channel_of
from appcast.feed import Feed, Item, highest

FEED_KEY = "appcast.xml"
FEEDS = "feeds/"
RELEASES = "releases/"
FEED_TYPE = "application/rss+xml; charset=utf-8"
IMAGE_TYPE = "application/x-apple-diskimage"
JSON_TYPE = "application/json"
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60, stale-while-revalidate=300"

Action = Literal["sent", "copied", "unchanged", "left", "removed"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is published beside an image, under `releases/`. `versioned` ones never change."""

    name: str
    data: bytes
    content_type: str
    versioned: bool

    @property
    def key(self) -> str:
        """Where it lies in the bucket."""
        return RELEASES + self.name


@dataclass(frozen=True, slots=True)
class Placed:
    """One object and what was done for it. `size` in bytes."""

    key: str
    action: Action
    size: int
    etag: str = ""


def targets(item: Item) -> Iterator[tuple[str, int | None]]:
    """Yield the URLs that an item points to, with the length in bytes where the feed says it."""
    if item.enclosure:
        yield item.enclosure.url, item.enclosure.length
    for delta in item.deltas:
        yield delta.enclosure.url, delta.enclosure.length
    for link in (*item.release_notes, *item.full_release_notes):
        yield link.url, link.length


def key_of(url: str) -> str | None:
    """Return the object's key if the URL is one of ours: `…/releases/<name>`."""
    folder, _, name = urlsplit(url).path.rpartition("/")
    return RELEASES + unquote(name) if name and folder.endswith("/releases") else None


def image_key(item: Item | None) -> str | None:
    """Return the key of an item's image, None if it is none of ours."""
    return key_of(item.enclosure.url) if item is not None and item.enclosure is not None else None


def for_everybody(feed: Feed) -> Item | None:
    """Return the newest item of the channel that everybody follows: what the download button offers."""
    return highest(feed, lambda item: channel_of(item) is None and image_key(item) is not None)


def disposition(name: str) -> str:
    """Return the Content-Disposition that saves a download under `name`."""
    return f'attachment; filename="{name}"'
