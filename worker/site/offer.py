"""What the landing page offers: the newest release for everybody, as feed and manifest describe it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from worker import feed
from worker.feed import Item
from worker.paths import RELEASES
from worker.ports import ObjectStore, Unavailable, Vanished
from worker.site.notes import Line, lines

LARGEST: Final = 256 * 1024  # bytes of a manifest
SYSTEMS: Final = {"13": "Ventura", "14": "Sonoma", "15": "Sequoia", "26": "Tahoe"}  # macOS by its name


@dataclass(frozen=True, slots=True)
class Offer:
    """One release as people read about it. `size` like "48.2 MB", `sha256` "" where it is not known."""

    version: str
    size: str
    date: str
    iso_date: str
    system: str
    chips: str
    sha256: str
    notes: tuple[Line, ...]
    notes_url: str


async def current(store: ObjectStore | None) -> Offer | None:
    """Give the newest release for everybody; None while there is none, or while the bucket is down."""
    if store is None:
        return None
    try:
        item = feed.newest(await feed.read(store))
        return None if item is None else _offer(item, await _sha256(store, item))
    except Unavailable:
        return None


def _offer(item: Item, sha256: str) -> Offer:
    moment = _date(item.published)
    return Offer(
        version=item.version,
        size=f"{item.size / 1e6:.1f} MB" if item.size else "",
        date=f"{moment.day} {moment:%B %Y}" if moment else "",
        iso_date=f"{moment:%Y-%m-%d}" if moment else "",
        system=system(item.minimum_system),
        chips="Apple silicon" if item.arm_only else "Apple silicon and Intel",
        sha256=sha256,
        notes=lines(item.notes),
        notes_url=item.notes_url,
    )


def system(minimum: str) -> str:
    """Name the oldest macOS that will do: "macOS 13 Ventura or later"."""
    if not minimum:
        return "macOS"
    major, *rest = minimum.split(".")
    number = ".".join([major, *rest]).removesuffix(".0").removesuffix(".0")
    name = f" {SYSTEMS[major]}" if major in SYSTEMS and number == major else ""
    return f"macOS {number}{name} or later"


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None


async def _sha256(store: ObjectStore, item: Item) -> str:
    """Find the image's digest in the manifest of its version."""
    found = await store.head(f"{RELEASES}{item.version}/manifest.json")
    if found is None or found.size > LARGEST:
        return ""
    try:
        data = b"".join([bytes(chunk) async for chunk in store.stream(found, 0, found.size)])
        objects = json.loads(data)["objects"]
        return next(str(one["sha256"]) for one in objects if f"/{one['key']}" == item.path)
    except (Vanished, ValueError, KeyError, TypeError, StopIteration):
        return ""
