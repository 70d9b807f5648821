"""What the feed offers, as the site needs it: which image is the newest for whom.

Read with the standard library alone, as it runs on Cloudflare too; the feed is our own, and expat loads
nothing from elsewhere.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from worker.paths import FEED
from worker.ports import Object, ObjectStore, Vanished

SPARKLE: Final = "{http://www.andymatuschak.org/xml-namespaces/sparkle}"
ARCHITECTURES: Final = ("arm64", "x86_64")
STABLE: Final = "stable"  # everybody's channel, which has no name in the feed
LARGEST: Final = 8 * 1024 * 1024  # bytes of a feed; more is not read


@dataclass(frozen=True, slots=True)
class Item:
    """One release. `build` is CFBundleVersion, `channel` "" for everybody, `size` in bytes."""

    version: str
    build: str
    channel: str
    url: str
    size: int
    published: str
    minimum_system: str
    arm_only: bool
    notes: str

    @property
    def path(self) -> str:
        """The image's path on this site."""
        return urlsplit(self.url).path

    @property
    def order(self) -> tuple[int, ...]:
        """What builds are compared by: ours are dotted numbers."""
        return tuple(int(part) if part.isdecimal() else 0 for part in self.build.split("."))


_read: WeakKeyDictionary[ObjectStore, tuple[str, tuple[Item, ...]]] = WeakKeyDictionary()


async def read(store: ObjectStore) -> tuple[Item, ...]:
    """Give the items of the public feed, the same ones until it changes; none if there is no feed."""
    for _ in range(3):  # it may be replaced between asking for it and reading it
        found = await store.head(FEED)
        if found is None or found.size > LARGEST:
            return ()
        known = _read.get(store)
        if known is not None and known[0] == found.etag:
            return known[1]
        try:
            items = parse(await _whole(store, found))
        except Vanished:
            continue
        _read[store] = (found.etag, items)
        return items
    return ()


async def _whole(store: ObjectStore, found: Object) -> bytes:
    return b"".join([bytes(chunk) async for chunk in store.stream(found, 0, found.size)])


def parse(data: bytes) -> tuple[Item, ...]:
    """Read a feed's items, in its order; what is not a feed has none."""
    try:
        channel = ET.fromstring(data).find("channel")  # noqa: S314 - our own signed feed, and no DTD loads
    except ET.ParseError:
        return ()
    nodes = [] if channel is None else channel.findall("item")
    return tuple(item for node in nodes if (item := _item(node)) is not None)


def _item(node: ET.Element) -> Item | None:
    enclosure = node.find("enclosure")
    if enclosure is None or not enclosure.get("url"):
        return None
    hardware = _text(node, "hardwareRequirements").replace(",", " ").split()
    return Item(
        version=_text(node, "shortVersionString") or _text(node, "version"),
        build=_text(node, "version"),
        channel=_text(node, "channel"),
        url=enclosure.get("url", ""),
        size=_number(enclosure.get("length", "")),
        published=(node.findtext("pubDate") or "").strip(),
        minimum_system=_text(node, "minimumSystemVersion"),
        arm_only="arm64" in hardware,
        notes=(node.findtext("description") or "").strip(),
    )


def newest(items: tuple[Item, ...], arch: str | None = None, channel: str = "") -> Item | None:
    """Give the newest item of a channel ("" or "stable": everybody's) that runs on `arch` (None: on any)."""
    wanted = "" if channel == STABLE else channel
    fitting = [one for one in items if one.channel == wanted and not (arch == "x86_64" and one.arm_only)]
    return max(fitting, key=lambda one: one.order, default=None)


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(SPARKLE + name) or "").strip()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0
