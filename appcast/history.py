"""The feed's memory: which items stay when a new one comes, and who signed what was offered so far.

Sparkle offers a Mac the highest version among the items meant for it, so an old item may go as soon as
everybody it was meant for is offered a newer one. Items meant for the same Macs form a branch; the newest of
each branch stays for ever, for some Mac may be able to run nothing newer.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lxml import etree

from appcast.client import GROUPS, channel_of
from appcast.feed import Feed, FeedFault, Item, merge
from appcast.versions import compare
from appcast.versions import key as order

MAXIMUM_VERSIONS = 3
NAMESPACE = "tag:standardagents.ai,2026:appcast"
"""Of elements that are ours and that Sparkle passes over."""

_IDENTITY = f"{{{NAMESPACE}}}identity"


def put(feed: Feed, item: Item, now: datetime, *, maximum_versions: int = MAXIMUM_VERSIONS) -> Feed:
    """Put `item` into the feed, newest first, and let go of what no Mac needs; see `prune`.

    Raises FeedFault, status VERSION, if its version does not rise within its channel.
    """
    merged = merge(feed, item)
    newest_first = sorted(merged.items, key=functools.cmp_to_key(_newest_first))
    return prune(replace(merged, items=tuple(newest_first)), now, maximum_versions=maximum_versions)


def prune(feed: Feed, now: datetime, *, maximum_versions: int = MAXIMUM_VERSIONS) -> Feed:
    """Keep `maximum_versions` items a branch, the highest ones; 0 keeps all.

    The newest item of a branch that is rolled out to everybody stays in any case: those whose group waits
    for a newer one are offered it meanwhile. `now` is aware of its time zone.
    """
    if maximum_versions == 0:
        return feed
    kept: list[Item] = []
    counts: Counter[Hashable] = Counter()
    settled: set[Hashable] = set()
    for item in sorted(feed.items, key=functools.cmp_to_key(_newest_first)):
        place = branch(item)
        counts[place] += 1
        if counts[place] <= maximum_versions or place not in settled:
            kept.append(item)
        if _reaches_all(item, now):
            settled.add(place)
    return replace(feed, items=tuple(item for item in feed.items if any(item is one for one in kept)))


def branch(item: Item) -> Hashable:
    """Return what decides which Macs an item is meant for."""
    return (
        channel_of(item),
        item.enclosure.os if item.enclosure else None,
        item.minimum_system_version,
        item.maximum_system_version,
        frozenset(name.casefold() for name in item.hardware_requirements),
        item.minimum_update_version,
        item.minimum_autoupdate_version,
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed the builds from `first` to `last`.

    `public_key` is the app's SUPublicEDKey, `certificate` the SHA-256 of the signing certificate (hex),
    `team` its Developer ID team, "" if it has none.
    """

    public_key: str
    certificate: str
    team: str
    first: str
    last: str

    def same_signers(self, other: Identity) -> bool:
        """Tell whether key and certificate are the same, whatever the builds."""
        return (self.public_key, self.certificate) == (other.public_key, other.certificate)


def identities(feed: Feed) -> tuple[Identity, ...]:
    """Read who signed the releases so far, oldest first, from the feed's own record. Raises FeedFault."""
    return tuple(_identity(node) for node in map(etree.fromstring, feed.extra) if node.tag == _IDENTITY)


def record(feed: Feed, signed: Identity) -> Feed:
    """Note who signed a release, in an element of the feed that Sparkle passes over.

    It stands in the channel and not in the item because it has to outlive the item: installed versions that
    the feed offers no longer still want to update. So it is covered by the feed's signature, changes with
    the feed in one step, and costs a line for each change of key or certificate, not for each release.
    """
    past = list(identities(feed))
    if past and past[-1].same_signers(signed):
        first = min(past[-1].first, signed.first, key=order)  # channels rise each on their own
        last = max(past[-1].last, signed.last, key=order)
        past[-1] = replace(past[-1], team=signed.team, first=first, last=last)
    else:
        past.append(signed)
    others = tuple(text for text in feed.extra if etree.fromstring(text).tag != _IDENTITY)
    return replace(feed, extra=(*others, *map(_element, past)))


def _newest_first(one: Item, other: Item) -> int:
    return compare(other.version, one.version)


def _reaches_all(item: Item, now: datetime) -> bool:
    """Tell whether the last group of a phased rollout has waited long enough."""
    if not item.phased_rollout_interval or item.published is None:
        return True
    return now - item.published >= timedelta(seconds=item.phased_rollout_interval * (GROUPS - 1))


def _identity(node: etree._Element) -> Identity:
    values = [node.get(name) for name in ("key", "certificate", "team", "first", "last")]
    if any(value is None for value in values):
        raise FeedFault("the feed's record of who signed what is damaged", where=f"<{node.tag}>")
    return Identity(*map(str, values))


def _element(identity: Identity) -> str:
    node = etree.Element(_IDENTITY, nsmap={"signers": NAMESPACE})
    node.set("key", identity.public_key)
    node.set("certificate", identity.certificate)
    node.set("team", identity.team)
    node.set("first", identity.first)
    node.set("last", identity.last)
    return str(etree.canonicalize(etree.tostring(node, encoding="unicode")))
