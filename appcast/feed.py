"""What a feed is: values, and the one operation a release needs, putting an item in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from appcast.versions import compare, is_safe
from errors import Exit, Fault

NotesFormat = Literal["html", "plain-text", "markdown"]


class FeedFault(Fault):
    """A feed that cannot be read, or that would not do what its writer means."""

    status = Exit.APPCAST


@dataclass(frozen=True, slots=True)
class Enclosure:
    """What is downloaded. `length` in bytes, `signature` base64 Ed25519 over all of them.

    `os` is None for macOS (anything else hides the item), `installation_type` None for an app.
    `extra` keeps attributes this model does not know, as (name, value) in ElementTree's `{namespace}name`.
    """

    url: str
    length: int | None = None
    type: str = "application/octet-stream"
    signature: str | None = None
    dsa_signature: str | None = None
    os: str | None = None
    installation_type: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A patch for those who have exactly `from_version`.

    `executable_size` (bytes) and `locales` describe the installed Sparkle that the patch expects to find.
    """

    from_version: str
    enclosure: Enclosure
    executable_size: int | None = None
    locales: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotesLink:
    """Release notes on the web: for readers of `language`, or for all. `signature` as an enclosure's."""

    url: str
    language: str | None = None
    signature: str | None = None
    length: int | None = None
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """Release notes inside the feed, for readers of `language`."""

    text: str
    language: str | None = None
    format: NotesFormat = "html"


@dataclass(frozen=True, slots=True)
class Critical:
    """An update not to be put off, by hosts older than `below` or, if that is None, by all."""

    below: str | None = None


@dataclass(frozen=True, slots=True)
class Informational:
    """An update that is only announced: to `versions`, to all older than one of `below`, or to everybody."""

    versions: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One update. `version` is the app's CFBundleVersion, `short_version` what people read.

    `phased_rollout_interval` in seconds. `translations` are further descriptions, each in its language;
    `line` is where a feed that was read has the item. What the model does not know is kept: child elements
    in `extra`, each as its canonical XML text, attributes in `attributes` as (element's tag or "" for the
    item itself, name, value), names in ElementTree's `{namespace}name`.
    """

    version: str
    short_version: str | None = None
    title: str | None = None
    link: str | None = None
    description: str | None = None
    description_format: NotesFormat = "html"
    description_language: str | None = None
    translations: tuple[Description, ...] = ()
    published: datetime | None = None
    minimum_system_version: str | None = None
    maximum_system_version: str | None = None
    hardware_requirements: tuple[str, ...] = ()
    minimum_update_version: str | None = None
    minimum_autoupdate_version: str | None = None
    ignore_skipped_upgrades_below_version: str | None = None
    channel: str | None = None
    phased_rollout_interval: int | None = None
    critical: Critical | None = None
    informational: Informational | None = None
    enclosure: Enclosure | None = None
    release_notes: tuple[NotesLink, ...] = ()
    full_release_notes: tuple[NotesLink, ...] = ()
    deltas: tuple[Delta, ...] = ()
    line: int | None = field(default=None, compare=False)
    extra: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """One appcast, newest item first. What the model does not know is kept as in an item."""

    title: str
    link: str | None = None
    description: str | None = None
    language: str | None = None
    items: tuple[Item, ...] = ()
    extra: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str, str], ...] = ()


def merge(feed: Feed, item: Item) -> Feed:
    """Put `item` first, in place of one of the same version.

    Within its channel a version has to rise: Sparkle offers the highest, never the latest. Versions of other
    channels may be higher, as a beta's is. Raises FeedFault, status VERSION, naming both versions.
    """
    if not is_safe(item.version):
        raise FeedFault(
            f"{item.version!r} is not a version that Sparkle orders reliably",
            cure="use one to four numbers with dots between, such as 1.4.2 or 142",
            status=Exit.VERSION,
        )
    kept = tuple(other for other in feed.items if other.version != item.version)
    newest = highest(replace(feed, items=kept), lambda other: other.channel == item.channel)
    if newest is not None and compare(item.version, newest.version) <= 0:
        raise FeedFault(
            f"version {item.version} does not rise: the feed has {newest.version} already",
            cure=f"choose a build number above {newest.version}",
            status=Exit.VERSION,
        )
    return replace(feed, items=(item, *kept))


def highest(feed: Feed, among: Callable[[Item], bool] = lambda item: True) -> Item | None:
    """Return the first item with the highest version, as Sparkle picks it, or None."""
    best: Item | None = None
    for item in filter(among, feed.items):
        if best is None or compare(item.version, best.version) > 0:
            best = item
    return best


def find(feed: Feed, version: str) -> Item | None:
    """Return the item of exactly this version (its build number), or None."""
    return next((item for item in feed.items if item.version == version), None)
