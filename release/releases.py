"""What is published: every build that has a manifest or stands in the feed, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from appcast.client import GROUPS
from appcast.feed import Item
from appcast.rollout import released, rollout
from appcast.versions import key as order
from release import history, manifest
from release.feed import STABLE
from release.history import Kept
from release.manifest import Manifest
from release.objects import image_key
from release.public import PublicFeed, PublicSide

State = Literal["offered", "superseded", "withdrawn", "not published"]


@dataclass(frozen=True, slots=True)
class Release:
    """One build. `size` of its image in bytes; `groups` of seven have it offered, None if not in phases.

    `latest`: the download button leads to it. `by` and `at`: who published it and when, `undone`: what took
    it back, by whom and when.
    """

    version: str
    build: str
    channel: str
    state: State
    size: int | None
    published: datetime | None
    minimum_system: str
    architectures: tuple[str, ...]
    groups: int | None
    paused: bool
    latest: bool
    by: str
    undone: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the bucket tells beside the manifests."""

    items: Mapping[str, Item]
    published: frozenset[str]
    withdrawn: Mapping[str, Kept]
    latest: str | None
    now: datetime


def releases(side: PublicSide) -> list[Release]:
    """List what is or was public: by channel, everybody's first, then from the highest build down."""
    public, manifests = side.read(), manifest.load_all(side.store, manifest.builds(side.store))
    known = _known(side, public)
    found = [_from_manifest(made, known) for made in manifests]
    builds = {made.build for made in manifests}
    found += [_from_item(item, known) for item in known.items.values() if item.version not in builds]
    found.sort(key=lambda one: order(one.build), reverse=True)
    return sorted(found, key=lambda one: (one.channel != STABLE, one.channel))


def _known(side: PublicSide, public: PublicFeed | None) -> _Known:
    deeds = ([public.kept] if public else []) + history.notes(side.store)
    withdrawn: dict[str, Kept] = {}
    for deed in deeds:
        for build in deed.withdrawn:
            withdrawn.setdefault(build, deed)
    items = {item.version: item for item in public.feed.items} if public else {}
    in_line = public is not None and public.newest is not None and side.in_line(public.feed)
    latest = public.newest.version if public and public.newest and in_line else None
    published = frozenset(deed.release for deed in deeds if deed.action == "publish")
    return _Known(items, published, withdrawn, latest, side.now())


def _from_manifest(made: Manifest, known: _Known) -> Release:
    item = known.items.get(made.build)
    deed = None if item else known.withdrawn.get(made.build)
    state: State = "not published"
    if item is not None:
        state = "offered"
    elif deed is not None:
        state = "withdrawn"
    elif made.release in known.published:
        state = "superseded"
    return Release(
        made.version,
        made.build,
        (item.channel or STABLE) if item else made.channel,
        state,
        made.image.size,
        datetime.fromisoformat(made.published.at).astimezone(UTC),
        made.minimum_system,
        made.architectures,
        *_phase(item, known.now),
        made.build == known.latest,
        made.published.who,
        deed.deed if deed else "",
    )


def _from_item(item: Item, known: _Known) -> Release:
    """A release from before there were manifests."""
    return Release(
        item.short_version or "",
        item.version,
        item.channel or STABLE,
        "offered",
        item.enclosure.length if item.enclosure and image_key(item) else None,
        released(item),
        item.minimum_system_version or "",
        item.hardware_requirements,
        *_phase(item, known.now),
        item.version == known.latest,
        "",
    )


def _phase(item: Item | None, now: datetime) -> tuple[int | None, bool]:
    known = rollout(item) if item is not None else None
    if known is None or known.groups(now) == GROUPS:
        return None, False
    return known.groups(now), known.paused is not None
