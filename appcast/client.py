"""What a given Mac would do with a feed: Sparkle 2.9's choice of an update, step by step.

The order is that of `SUAppcastDriver`: items for other systems, deltas at the top level, items that this
version may not update to and those of other channels go first; then what the Mac cannot run, what the phased
rollout holds back, what the user skipped. Of the rest the first with the highest version is taken, one that
may be installed without asking before a major upgrade, and only if it is newer than the host.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from appcast.feed import Delta, Description, Feed, FeedFault, Item, NotesLink
from appcast.names import DELTA_FROM
from appcast.versions import compare

GROUPS = 7
"""Of a phased rollout: every Mac is in one of them, and group n waits n times the interval."""

_INSTALLATION_TYPES = (None, "application", "package")
_WEB_OR_RELATIVE = re.compile(r"https?:|(?![a-z][a-z0-9+.-]*:)", re.IGNORECASE)
_TRADITIONAL = ("tw", "hk", "mo")


@dataclass(frozen=True, slots=True)
class Host:
    """One Mac and the app on it. `version` is the app's CFBundleVersion, `languages` the user's, best first.

    `phased_group` is 0 (at once) to 6 (last). The skipped ones are what Sparkle keeps in the app's defaults:
    `SUSkippedVersion`, `SUSkippedMajorVersion` (an item's minimumAutoupdateVersion) and
    `SUSkippedMajorSubreleaseVersion`. `user_initiated`: the user asked; rollout and skipping don't count.
    """

    version: str
    system_version: str
    architecture: Literal["arm64", "x86_64"] = "arm64"
    channels: Collection[str] = frozenset()
    languages: tuple[str, ...] = ("en",)
    phased_group: int = 0
    skipped_version: str | None = None
    skipped_major_version: str | None = None
    skipped_major_subrelease: str | None = None
    user_initiated: bool = False


class Why(enum.Enum):
    """What became of an item; the value completes the sentence "this item …"."""

    OFFERED = "is offered"
    OTHER_SYSTEM = "is not for macOS"
    TOP_LEVEL_DELTA = "is a delta that stands where an update belongs"
    MINIMUM_UPDATE = "does not update versions as old as this one"
    CHANNEL = "is in a channel that this Mac does not follow"
    SYSTEM_TOO_OLD = "needs a newer macOS"
    SYSTEM_TOO_NEW = "does not run on a macOS this new"
    HARDWARE = "needs Apple silicon"
    ROLLOUT = "is not rolled out to this Mac's group yet"
    SKIPPED = "was skipped by the user"
    SKIPPED_MAJOR = "belongs to a major upgrade that the user skipped"
    NOT_NEWER = "is not newer than what is installed"
    MAJOR_LATER = "is a major upgrade, and an update within the installed version comes first"
    NOT_HIGHEST = "is not the highest version"


@dataclass(frozen=True, slots=True)
class Considered:
    """One item of the feed and what became of it."""

    item: Item
    why: Why


@dataclass(frozen=True, slots=True)
class Selection:
    """What the host is offered, in the feed's own items; `item` is None and `reason` says why if nothing is.

    `delta` is the patch that would be downloaded in place of the item's enclosure (if the installed Sparkle
    is as the delta expects). `notes` are what the user would read, `full_notes` the version history. `major`:
    a major upgrade, never silent. `informational`: only announced, with a link. `silent_allowed`: may be
    installed without asking, where the user agreed to that.
    """

    item: Item | None = None
    delta: Delta | None = None
    notes: NotesLink | Description | None = None
    full_notes: NotesLink | None = None
    reason: str | None = None
    major: bool = False
    critical: bool = False
    informational: bool = False
    silent_allowed: bool = False
    considered: tuple[Considered, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why Sparkle would refuse the whole feed: `what` is wrong with the item at `line`."""

    item: Item
    what: str
    line: int | None = None


class Refused(FeedFault):
    """A feed that Sparkle would refuse, so that no Mac updates from it. `troubles` has every reason."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        first = troubles[0]
        super().__init__(
            f"Sparkle would refuse the whole feed: {first.what}",
            where=None if first.line is None else f"line {first.line}",
            cure="mend or remove the item",
            details=tuple(_at(trouble) for trouble in troubles[1:]),
        )
        self.troubles = tuple(troubles)


def trouble(feed: Feed) -> list[Trouble]:
    """Return every reason for which Sparkle would refuse the whole feed; empty if there is none.

    A version that is empty counts as none, though Sparkle would read it as one older than all others.
    """
    return [Trouble(item, what, item.line) for item in feed.items if (what := _refusal(item)) is not None]


def select(feed: Feed, host: Host, now: datetime) -> Selection:
    """Return what `host` would be offered at `now` (with its zone). Raises Refused as Sparkle would."""
    troubles = trouble(feed)
    if troubles:
        raise Refused(troubles)
    verdicts = [_rejected(item, host, now) for item in feed.items]
    suitable = [item for item, why in zip(feed.items, verdicts, strict=True) if why is None]
    best = _newest((item for item in suitable if not is_major(item, host)), host)
    best = best or _newest(suitable, host)
    considered = tuple(
        Considered(item, why or _passed_over(item, best, host))
        for item, why in zip(feed.items, verdicts, strict=True)
    )
    if best is None:
        return Selection(reason=_reason(considered, host), considered=considered)
    return _selection(best, host, considered)


def is_major(item: Item, host: Host) -> bool:
    """Tell whether the item is a major upgrade for this host: shown, never installed silently."""
    lowest = item.minimum_autoupdate_version
    return bool(lowest) and compare(host.version, lowest or "") < 0


def is_critical(item: Item, host: Host) -> bool:
    """Tell whether the update is critical for this host."""
    critical = item.critical
    return critical is not None and (critical.below is None or compare(host.version, critical.below) < 0)


def is_informational(item: Item, host: Host) -> bool:
    """Tell whether the update is only announced to this host; without a link there is nothing to announce."""
    if not _is_web(item.link):
        return False
    if item.enclosure is None:
        return True
    told = item.informational
    if told is None:
        return False
    everybody = not told.versions and not told.below
    older = any(compare(host.version, version) < 0 for version in told.below)
    return everybody or host.version in told.versions or older


def channel_of(item: Item) -> str | None:
    """Return the item's channel as Sparkle reads it: a name with a forbidden character is the default."""
    name = item.channel
    return name if name and all(_is_channel_character(character) for character in name) else None


def _selection(item: Item, host: Host, considered: tuple[Considered, ...]) -> Selection:
    major, informational = is_major(item, host), is_informational(item, host)
    silent = not (major or informational or host.user_initiated or _is_package(item))
    return Selection(
        item=item,
        delta=_delta(item, host),
        notes=_notes(item, host.languages),
        full_notes=_link(item.full_release_notes, host.languages),
        major=major,
        critical=is_critical(item, host),
        informational=informational,
        silent_allowed=silent,
        considered=considered,
    )


def _refusal(item: Item) -> str | None:
    enclosure = item.enclosure
    if not item.version:
        return f"item {item.title or item.link or ''!r} has no sparkle:version"
    if enclosure is None or not enclosure.url:
        lack = "neither an enclosure" if enclosure is None else "neither a URL in its enclosure"
        return None if _is_web(item.link) else f"item {item.version} has {lack} nor an http(s) link"
    if not _is_web(enclosure.url):
        return f"item {item.version} has an enclosure that is not http(s): {enclosure.url}"
    if enclosure.installation_type not in _INSTALLATION_TYPES:
        return f"item {item.version} has an unknown installation type, {enclosure.installation_type!r}"
    return None


def _rejected(item: Item, host: Host, now: datetime) -> Why | None:
    return (
        _not_for_host(item, host)
        or _not_for_machine(item, host)
        or (None if host.user_initiated else _held_back(item, host, now))
    )


def _not_for_host(item: Item, host: Host) -> Why | None:
    enclosure = item.enclosure
    if enclosure is not None and enclosure.os not in (None, "macos"):
        return Why.OTHER_SYSTEM
    if enclosure is not None and any(name == DELTA_FROM for name, _ in enclosure.extra):
        return Why.TOP_LEVEL_DELTA
    if item.minimum_update_version and compare(item.minimum_update_version, host.version) > 0:
        return Why.MINIMUM_UPDATE
    if item.channel and (channel := channel_of(item)) is not None and channel not in host.channels:
        return Why.CHANNEL
    return None


def _not_for_machine(item: Item, host: Host) -> Why | None:
    lowest, highest = item.minimum_system_version, item.maximum_system_version
    if lowest and compare(lowest, host.system_version) > 0:
        return Why.SYSTEM_TOO_OLD
    if highest and compare(highest, host.system_version) < 0:
        return Why.SYSTEM_TOO_NEW
    return Why.HARDWARE if host.architecture == "x86_64" and _needs_arm64(item) else None


def _needs_arm64(item: Item) -> bool:
    if any(name.lower() == "arm64" for name in item.hardware_requirements):
        return True
    # Sparkle takes for granted that macOS 27 does not run on Intel.
    return bool(item.minimum_system_version) and compare(item.minimum_system_version or "", "27.0") >= 0


def _held_back(item: Item, host: Host, now: datetime) -> Why | None:
    if _rolls_out_later(item, host, now) and not is_critical(item, host):
        return Why.ROLLOUT
    if _skipped_major(item, host):
        return Why.SKIPPED_MAJOR
    skipped = host.skipped_version
    return Why.SKIPPED if skipped and compare(skipped, item.version) >= 0 else None


def _rolls_out_later(item: Item, host: Host, now: datetime) -> bool:
    interval, published = item.phased_rollout_interval, item.published
    if interval is None or published is None:
        return False
    return (now - published).total_seconds() < interval * host.phased_group


def _skipped_major(item: Item, host: Host) -> bool:
    skipped, lowest = host.skipped_major_version, item.minimum_autoupdate_version
    if not skipped or not lowest or compare(host.version, skipped) >= 0 or compare(skipped, lowest) < 0:
        return False
    again, subrelease = item.ignore_skipped_upgrades_below_version, host.skipped_major_subrelease
    return again is None or (subrelease is not None and compare(subrelease, again) >= 0)


def _newest(items: Iterable[Item], host: Host) -> Item | None:
    """Return the first item with the highest version, if that is newer than the host's."""
    best: Item | None = None
    for item in items:
        if best is None or compare(best.version, item.version) < 0:
            best = item
    return best if best is not None and compare(host.version, best.version) < 0 else None


def _passed_over(item: Item, best: Item | None, host: Host) -> Why:
    if item is best:
        return Why.OFFERED
    if compare(host.version, item.version) >= 0:
        return Why.NOT_NEWER
    later = best is not None and is_major(item, host) and not is_major(best, host)
    return Why.MAJOR_LATER if later else Why.NOT_HIGHEST


def _reason(considered: Iterable[Considered], host: Host) -> str:
    """Say why nothing is offered, by the highest of the versions that are newer."""
    newer = {id(one.item): one for one in considered if compare(host.version, one.item.version) < 0}
    best = _newest((one.item for one in newer.values()), host)
    if best is None:
        return f"no item is newer than {host.version}"
    return f"{best.version} {newer[id(best)].why.value}"


def _delta(item: Item, host: Host) -> Delta | None:
    """Return the patch for exactly this version: the last of several, as Sparkle keeps them by version."""
    fitting = (
        delta
        for delta in reversed(item.deltas)
        if delta.from_version == host.version
        and delta.enclosure.url
        and _is_web(delta.enclosure.url)
        and delta.enclosure.installation_type in _INSTALLATION_TYPES
    )
    return next(fitting, None)


def _notes(item: Item, languages: Sequence[str]) -> NotesLink | Description | None:
    link = _link(item.release_notes, languages)
    if link is not None or item.description is None:
        return link
    first = Description(item.description, item.description_language, item.description_format)
    texts = (first, *item.translations)
    return texts[_preferred([text.language for text in texts], languages)]


def _link(links: Sequence[NotesLink], languages: Sequence[str]) -> NotesLink | None:
    if not links:
        return None
    chosen = links[_preferred([link.language for link in links], languages)]
    return chosen if _is_web(chosen.url) else None


def _preferred(available: Sequence[str | None], languages: Sequence[str]) -> int:
    """Return the index of the language that macOS would pick; the first one where none fits.

    Sparkle takes an element without `xml:lang` beside others for English.
    """
    tags = [_subtags(tag or "en") for tag in available]
    for language in languages:
        wanted = _subtags(language)
        for length in range(len(wanted), 0, -1):
            if wanted[:length] in tags:
                return tags.index(wanted[:length])
        common = 2 if wanted[0] == "zh" else 1  # the two scripts of Chinese don't stand in for each other
        for at, tag in enumerate(tags):
            if tag[:common] == wanted[:common]:
                return at
    return 0


def _subtags(language: str) -> tuple[str, ...]:
    """Split `pt_BR` into ("pt", "br"); Chinese always gets its script."""
    tags = tuple(language.lower().replace("_", "-").split("-"))
    if tags[0] != "zh" or tags[1:2] in (("hans",), ("hant",)):
        return tags
    return ("zh", "hant" if tags[1:2] and tags[1] in _TRADITIONAL else "hans", *tags[1:])


def _is_package(item: Item) -> bool:
    if item.enclosure is None:
        return False
    kind = item.enclosure.installation_type
    suffix = PurePosixPath(re.split("[?#]", item.enclosure.url, maxsplit=1)[0]).suffix
    return kind == "package" or (kind is None and suffix in (".pkg", ".mpkg"))


def _is_web(url: str | None) -> bool:
    """Tell whether a URL is http(s), or relative: a feed's own address is http(s)."""
    return bool(url) and _WEB_OR_RELATIVE.match(url or "") is not None


def _is_channel_character(character: str) -> bool:
    return character in "_.-" or unicodedata.category(character)[0] in "LMN"


def _at(trouble: Trouble) -> str:
    return trouble.what if trouble.line is None else f"line {trouble.line}: {trouble.what}"
