"""A release as the pages tell of it: what feed, manifest and changelog say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from worker import feed
from worker.feed import Item
from worker.paths import RELEASES, page_of
from worker.ports import ObjectStore, Unavailable, Vanished
from worker.site.notes import ALL, MOST, Line, lines, section

LARGEST: Final = 512 * 1024  # bytes of a manifest or a changelog; more is not read
CHANGELOG: Final = f"{RELEASES}notes.html"
SYSTEMS: Final = {"13": "Ventura", "14": "Sonoma", "15": "Sequoia", "26": "Tahoe"}  # macOS by its name
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Offer:
    """One release as people read about it. `size` like "48.2 MB"; what is not known is "".

    `path` is the image's on this site, `channel` "" for everybody's.
    """

    version: str
    notes: tuple[Line, ...]
    date: str = ""
    iso_date: str = ""
    path: str = ""
    channel: str = ""
    size: str = ""
    system: str = ""
    chips: str = ""
    sha256: str = ""

    @property
    def page(self) -> str:
        """The path of its own page; "" where its version makes none."""
        path = f"/{RELEASES}{self.version}/"
        return path if page_of(path.encode()) else ""


async def current(store: ObjectStore | None) -> Offer | None:
    """Give the newest release for everybody; None while there is none, or while the bucket is down."""
    if store is None:
        return None
    try:
        item = feed.newest(await feed.read(store))
        return None if item is None else _offer(item, await _sha256(store, item), MOST)
    except Unavailable:
        return None


async def of_version(store: ObjectStore, version: str) -> Offer | None:
    """Give a release by its version, the newest build of it; None if nothing public tells of it.

    What has left the feed is told of by the changelog alone, without a download. Raises Unavailable.
    """
    builds = [item for item in await feed.read(store) if item.version == version]
    if builds:
        item = max(builds, key=lambda one: one.order)
        return _offer(item, await _sha256(store, item), ALL)
    found = section((await _read(store, CHANGELOG)).decode("utf-8", "replace"), version)
    if found is None:
        return None
    title, body = found
    words, iso_date = _dates(_written(title))
    return Offer(version, lines(body, ALL), words, iso_date)


def _offer(item: Item, sha256: str, most: int) -> Offer:
    words, iso_date = _dates(_date(item.published))
    return Offer(
        version=item.version,
        notes=lines(item.notes, most),
        date=words,
        iso_date=iso_date,
        path=item.path,
        channel=item.channel,
        size=f"{item.size / 1e6:.1f} MB" if item.size else "",
        system=system(item.minimum_system),
        chips="Apple silicon" if item.arm_only else "Apple silicon and Intel",
        sha256=sha256,
    )


def _dates(day: date | None) -> tuple[str, str]:
    """Write a day for people and for machines."""
    return (f"{day.day} {day:%B %Y}", f"{day:%Y-%m-%d}") if day else ("", "")


def _written(title: str) -> date | None:
    """Find the day in a changelog's heading: `1.2.0 - 2026-11-22`."""
    found = _DAY.search(title)
    try:
        return date.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


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
    data = await _read(store, f"{RELEASES}{item.version}/manifest.json")
    try:
        objects = json.loads(data)["objects"]
        return next(str(one["sha256"]) for one in objects if f"/{one['key']}" == item.path)
    except (ValueError, KeyError, TypeError, StopIteration):
        return ""


async def _read(store: ObjectStore, key: str) -> bytes:
    """Read a small object; nothing if there is none, or if it goes while it is read."""
    found = await store.head(key)
    if found is None or found.size > LARGEST:
        return b""
    try:
        return b"".join([bytes(chunk) async for chunk in store.stream(found, 0, found.size)])
    except Vanished:
        return b""
