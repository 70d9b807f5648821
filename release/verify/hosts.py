"""Every kind of Mac that the feed tells apart: what it is offered, and whether that would run there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from appcast.audience import Row, offer_of, typical_hosts
from appcast.audience_merge import ANY, Axes, Group, merged
from appcast.client import Host, select
from appcast.feed import Feed, Item
from appcast.lint import AppFacts
from appcast.versions import compare
from release.verify.image import Inspected, address
from release.verify.rows import Rows, Wrong


@dataclass(frozen=True, slots=True)
class Offered:
    """A kind of Mac, its row of the audience, and the item it is offered."""

    row: Row
    item: Item | None


def offers(feed: Feed, now: datetime) -> tuple[Offered, ...]:
    """Return what each kind of Mac is offered; `feed` is one that Sparkle accepts."""
    chosen = ((host, select(feed, host, now)) for host in typical_hosts(feed))
    return tuple(Offered(Row(host, offer_of(one, host)), one.item) for host, one in chosen)


def check(found: Sequence[Offered], feed: Feed, inspected: Mapping[str, Inspected], rows: Rows) -> None:
    """Add a row for each group of Macs that fare alike: would what they are offered run there?"""
    judged = []
    for one in found:
        problem = (
            "" if one.item is None else _problem(one.item, one.row.host, inspected.get(address(one.item)))
        )
        why = problem or one.row.offer.why
        judged.append(replace(one.row, offer=replace(one.row.offer, why=why)))
    for group in merged(judged, Axes.of(feed.items)):
        rows.run(_name(group), lambda group=group: _fate(group))  # type: ignore[misc]


def _problem(item: Item, host: Host, seen: Inspected | None) -> str:
    if seen is None or seen.app is None:
        return "its image could not be looked into"
    if any(row.ok is False for row in seen.rows.checks):
        return "its image is not as it should be, see there"
    return _runs(seen.app, host)


def _runs(app: AppFacts, host: Host) -> str:
    if compare(app.minimum_system_version, host.system_version) > 0:
        return f"it needs macOS {app.minimum_system_version}"
    if host.architecture == "x86_64" and "x86_64" not in app.architectures:
        return "it does not run on Intel"
    if compare(app.version, host.version) <= 0:
        return "it is no newer than what is there"
    return ""


def _name(group: Group) -> str:
    words = [f"build {group.versions}", f"macOS {group.systems}", group.architectures]
    words += [f"channel {group.channels}"] if group.channels != ANY else []
    words += [f"rollout group {group.groups}"] if group.groups != ANY else []
    return (
        ", ".join(word for word in words if word not in (ANY, f"build {ANY}", f"macOS {ANY}")) or "every Mac"
    )


def _fate(group: Group) -> tuple[None, str]:
    offer = group.row.offer
    if offer.version is None:
        return None, f"offered nothing: {offer.why}"
    if offer.why:
        raise Wrong(f"offered {offer.version}, but {offer.why}")
    return None, f"offered {offer.version}, which was looked into and runs there"
