"""Who gets what: all the Macs that a feed can tell apart, and what each is offered.

A feed tells Macs apart by few things: the version they have, macOS, the processor, the channels they follow,
their group in a phased rollout. Where those change something is in the feed itself, so one Mac for each
combination of the stretches between stands for all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from appcast import history
from appcast.client import GROUPS, Host, Refused, Selection, Why, channel_of, select, trouble
from appcast.feed import Feed, Item
from appcast.versions import compare

MOST_VERSIONS = 400
BEFORE_ALL = "0"
"""A version, of the app or of macOS, older than any in a feed."""

UP_TO_DATE = "up to date"

Architecture = Literal["arm64", "x86_64"]
Lost = Literal["lost", "older", "announced"]
_ARCHITECTURES: tuple[Architecture, ...] = ("arm64", "x86_64")
_ELSEWHERE = (Why.OTHER_SYSTEM, Why.TOP_LEVEL_DELTA, Why.CHANNEL)
_by_version = functools.cmp_to_key(compare)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a host is offered: a version, or None and why nothing is."""

    version: str | None
    why: str = ""
    delta: bool = False
    major: bool = False
    critical: bool = False
    informational: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One host and its offer; `before` is what the feed compared with offers it."""

    host: Host
    offer: Offer
    before: Offer | None = None

    @property
    def changed(self) -> bool:
        """Whether the host fares otherwise than before; why it is offered nothing is the same to it."""
        if self.before is None or self.before.version is self.offer.version is None:
            return False
        return self.before != self.offer


@dataclass(frozen=True, slots=True)
class Regression:
    """A host that is worse off: it loses its update, is offered an older one, or is only told of it."""

    host: Host
    before: Item
    after: Item | None
    kind: Lost


@dataclass(frozen=True, slots=True)
class Stretch:
    """macOS versions that no item tells apart. `sample` is one of them, `low` the first (None: from ever).

    `high` is the last one (`inclusive`) or the first that is not in it; None: for ever. `after`: `low` itself
    is not in it.
    """

    sample: str
    low: str | None
    high: str | None
    inclusive: bool = False
    after: bool = False


def typical_hosts(*feeds: Feed | None, impossible: bool = False) -> tuple[Host, ...]:
    """Return one host for every combination that the feeds tell apart.

    Of feeds with more than `MOST_VERSIONS` versions the newest, the oldest and those that a limit names are
    taken. Macs that cannot run the version they would have are left out, unless `impossible`.
    """
    items = [item for feed in feeds if feed is not None for item in feed.items]
    needs = _needs(items)
    return tuple(
        Host(version, stretch.sample, architecture, channels, phased_group=group)
        for channels in channel_choices(items)
        for version in versions_of(items)
        for stretch in stretches(items)
        for architecture in _ARCHITECTURES
        if impossible or _possible(needs.get(version, ()), stretch.sample, architecture)
        for group in groups_of(items)
    )


def versions_of(items: Iterable[Item]) -> tuple[str, ...]:
    """Return the installed versions that make a difference, oldest first; the first is older than all."""
    items = list(items)
    limits = {limit for item in items for limit in _limits(item)}
    found = sorted({item.version for item in items if item.version} - limits, key=_by_version)
    if len(found) > MOST_VERSIONS:
        found = [found[0], *found[1 - MOST_VERSIONS :]]
    return (BEFORE_ALL, *sorted({*found, *limits} - {BEFORE_ALL}, key=_by_version))


def stretches(items: Iterable[Item]) -> tuple[Stretch, ...]:
    """Cut all versions of macOS where an item begins or ends to be for them."""
    cuts = {(item.minimum_system_version or "", False) for item in items}
    cuts |= {(item.maximum_system_version or "", True) for item in items}
    order = functools.cmp_to_key(_compare_cuts)
    low: str | None = None
    after = False
    sample, done = BEFORE_ALL, []
    for cut, is_last in sorted(cuts - {("", False), ("", True)}, key=order):
        if (low, after) == (cut, is_last):
            continue
        done.append(Stretch(sample, low, cut, is_last, after))
        low, after, sample = cut, is_last, f"{cut}.1" if is_last else cut
    return (*done, Stretch(sample, low, None, False, after))


def _compare_cuts(one: tuple[str, bool], other: tuple[str, bool]) -> int:
    return compare(one[0], other[0]) or one[1] - other[1]


def channel_choices(items: Iterable[Item]) -> tuple[frozenset[str], ...]:
    """Return what a Mac may follow: the default channel only, or that and one other."""
    names = {channel for item in items if (channel := channel_of(item)) is not None}
    return (frozenset(), *(frozenset({name}) for name in sorted(names)))


def groups_of(items: Iterable[Item]) -> range:
    """Return the groups to look at: all of them if anything is rolled out in phases."""
    return range(GROUPS if any(item.phased_rollout_interval for item in items) else 1)


def audience(
    feed: Feed, hosts: Sequence[Host], now: datetime, *, before: Feed | None = None
) -> tuple[Row, ...]:
    """Return what each host is offered at `now`, and was `before`. Raises Refused as Sparkle would."""
    offers = list(_offers(feed, hosts, now))
    if before is None:
        return tuple(Row(host, offer) for host, offer in zip(hosts, offers, strict=True))
    then = [Offer(None, "is refused")] * len(hosts) if trouble(before) else list(_offers(before, hosts, now))
    return tuple(Row(host, offer, was) for host, offer, was in zip(hosts, offers, then, strict=True))


def regressions(
    before: Feed | None, after: Feed, hosts: Sequence[Host], now: datetime
) -> tuple[Regression, ...]:
    """Return the hosts that have an update now and would lose it or be offered an older one.

    A feed that Sparkle refuses offers nothing: as `after` it takes everything away, as `before` there is
    nothing to lose.
    """
    if before is None or trouble(before):
        return ()
    refused, old, new = bool(trouble(after)), _slim(before, now), _slim(after, now)
    found = []
    for host in hosts:
        was = select(old, host, now)
        now_is = Selection() if refused else select(new, host, now)
        kind = _worse(was, now_is)
        if kind is not None and was.item is not None:
            found.append(Regression(host, was.item, now_is.item, kind))
    return tuple(found)


def offer_of(selection: Selection, host: Host) -> Offer:
    """Say shortly what became of a host."""
    if selection.item is None:
        return Offer(None, _why_nothing(selection, host))
    return Offer(
        selection.item.version,
        "",
        selection.delta is not None and not selection.informational,
        selection.major,
        selection.critical,
        selection.informational,
        selection.silent_allowed,
    )


def rollouts(feed: Feed, now: datetime) -> Iterator[tuple[Item, int]]:
    """Yield the items that are still rolled out, each with the number of groups that have it (1 to 7)."""
    for item in feed.items:
        interval, published = item.phased_rollout_interval, item.published
        if interval and interval > 0 and published is not None:
            groups = int((now - published).total_seconds() // interval) + 1
            if groups < GROUPS:
                yield item, max(1, groups)


def _offers(feed: Feed, hosts: Sequence[Host], now: datetime) -> Iterator[Offer]:
    if troubles := trouble(feed):
        raise Refused(troubles)
    slim = _slim(feed, now)
    for host in hosts:
        yield offer_of(select(slim, host, now), host)


def _slim(feed: Feed, now: datetime) -> Feed:
    """Drop the items that nobody is offered, a higher one being for the same Macs: they only cost time."""
    return history.prune(feed, now, maximum_versions=1)


def _why_nothing(selection: Selection, host: Host) -> str:
    """Return what became of the newest item that is newer and in a channel that the host follows."""
    newer = [
        one
        for one in selection.considered
        if one.why not in _ELSEWHERE and compare(one.item.version, host.version) > 0
    ]
    if not newer:
        return UP_TO_DATE
    best = max(newer, key=lambda one: _by_version(one.item.version))
    return f"{best.item.version} {best.why.value}"


def _worse(was: Selection, now_is: Selection) -> Lost | None:
    if was.item is None or (was.informational and now_is.item is not None):
        return None
    if now_is.item is None:
        return "lost"
    if compare(now_is.item.version, was.item.version) < 0:
        return "older"
    return "announced" if now_is.informational else None


def _needs(items: Iterable[Item]) -> dict[str, list[Item]]:
    needs: dict[str, list[Item]] = {}
    for item in items:
        needs.setdefault(item.version, []).append(item)
    return needs


def _possible(items: Sequence[Item], system: str, architecture: Architecture) -> bool:
    """Tell whether such a Mac can have this version: whether one of its items would have been for it."""
    probe = Host(BEFORE_ALL, system, architecture)
    return not items or any(_runs(item, probe) for item in items)


def _runs(item: Item, host: Host) -> bool:
    lowest = item.minimum_system_version
    if lowest and compare(lowest, host.system_version) > 0:
        return False
    needs = {name.lower() for name in item.hardware_requirements}
    return host.architecture == "arm64" or "arm64" not in needs


def _limits(item: Item) -> Iterator[str]:
    """Yield the installed versions that an item treats in a way of their own."""
    informational, critical = item.informational, item.critical
    named = [item.minimum_update_version, item.minimum_autoupdate_version]
    named += [critical.below] if critical is not None else []
    named += [*informational.versions, *informational.below] if informational is not None else []
    named += [delta.from_version for delta in item.deltas]
    yield from (version for version in named if version)
