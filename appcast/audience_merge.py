"""Hosts in few words: those that fare alike put together, each set named as people would name it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from appcast.audience import Regression, Row, Stretch, channel_choices, groups_of, stretches, versions_of
from appcast.client import Host
from appcast.feed import Item

ANY = "any"
_ARCHITECTURES = {"arm64": "Apple silicon", "x86_64": "Intel"}
_ORDER = (4, 2, 0, 1, 3)  # what is put together first, so that versions and systems stay in one piece

Point = tuple[str, str, str, str, int]
"""A host's version, system, architecture, channel ("" the default) and group."""


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that fare alike: what they have in common, in words, and one of their rows."""

    versions: str
    systems: str
    architectures: str
    channels: str
    groups: str
    row: Row


@dataclass(frozen=True, slots=True)
class Axes:
    """All values that there are, in order."""

    versions: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    channels: tuple[str, ...]
    groups: tuple[int, ...]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Axes:
        """Take them from the items of all feeds concerned."""
        channels = tuple(next(iter(choice), "") for choice in channel_choices(items))
        return cls(versions_of(items), stretches(items), channels, tuple(groups_of(items)))


def merged(rows: Sequence[Row], axes: Axes) -> list[Group]:
    """Put rows with equal offers together, as few as a simple search finds; sorted by channel and system."""
    sets = _merge({_point(row.host): (row.offer, row.before) for row in rows})
    sample = {_point(row.host): row for row in rows}
    groups = [
        (_rank(parts, axes), Group(*_words(parts, axes), sample[_corner(parts, sample)])) for parts in sets
    ]
    return [group for _, group in sorted(groups, key=lambda pair: pair[0])]


def describe(regressions: Sequence[Regression], items: Sequence[Item]) -> tuple[str, ...]:
    """Say in a line each who is worse off and how. `items`: those of both feeds."""
    axes = Axes.of(items)
    fates = {_point(each.host): _fate(each) for each in regressions}
    lines = []
    for parts, fate in _merge(fates).items():
        versions, systems, architectures, channels, groups = _words(parts, axes)
        words = [f"build {versions} on macOS {systems}"]
        words += [architectures] if architectures != ANY else []
        words += [f"channel {channels}"] if len(axes.channels) > 1 and channels != ANY else []
        words += [f"rollout group {groups}"] if groups != ANY else []
        lines.append(f"{', '.join(words)}: {fate}")
    return tuple(sorted(lines))


def _fate(each: Regression) -> str:
    before = each.before.version
    if each.after is None:
        return f"{before} is offered now, nothing would be"
    if each.kind == "announced":
        return f"{before} is offered now, {each.after.version} would only be announced"
    return f"{before} is offered now, {each.after.version} would be"


_Parts = tuple[frozenset[object], ...]


def _merge(fates: Mapping[Point, Hashable]) -> dict[_Parts, Hashable]:
    """Unite along one dimension after another what differs in that one only, until nothing does."""
    current: dict[_Parts, Hashable] = {
        tuple(frozenset[object]([value]) for value in point): fate for point, fate in fates.items()
    }
    count = -1
    while count != len(current):
        count = len(current)
        for at in _ORDER:
            current = _unite(current, at)
    return current


def _unite(current: dict[_Parts, Hashable], at: int) -> dict[_Parts, Hashable]:
    together: dict[tuple[_Parts, Hashable], set[object]] = {}
    for parts, fate in current.items():
        rest = (*parts[:at], *parts[at + 1 :])
        together.setdefault((rest, fate), set()).update(parts[at])
    return {(*rest[:at], frozenset(values), *rest[at:]): fate for (rest, fate), values in together.items()}


def _point(host: Host) -> Point:
    channel = next(iter(host.channels), "")
    return host.version, host.system_version, host.architecture, channel, host.phased_group


def _corner(parts: _Parts, sample: dict[Point, Row]) -> Point:
    return next(
        point for point in sample if all(value in part for value, part in zip(point, parts, strict=True))
    )


def _rank(parts: _Parts, axes: Axes) -> tuple[int, ...]:
    """Sort by channel, then version from old to new, then system."""
    samples = [stretch.sample for stretch in axes.stretches]
    return (
        min(axes.channels.index(str(one)) for one in parts[3]),
        len(parts[3]),
        min(axes.versions.index(str(one)) for one in parts[0]),
        min(samples.index(str(one)) for one in parts[1]),
        min(ord(str(one)[0]) for one in parts[2]),
        min(int(str(one)) for one in parts[4]),
    )


def _words(parts: _Parts, axes: Axes) -> tuple[str, str, str, str, str]:
    versions, systems, architectures, channels, groups = parts
    return (
        _runs(versions, axes.versions, _version_run(axes)),
        _runs(systems, [stretch.sample for stretch in axes.stretches], _system_run(axes)),
        ANY if len(architectures) == 2 else _ARCHITECTURES[str(*architectures)],
        ANY
        if len(channels) == len(axes.channels)
        else ", ".join(name or "default" for name in axes.channels if name in channels),
        _runs(groups, axes.groups, _group_run(axes)),
    )


def _runs(chosen: frozenset[object], everything: Sequence[object], name: Callable[[int, int], str]) -> str:
    """Name the unbroken stretches of `everything` that `chosen` covers, by their first and last index."""
    if len(chosen) == len(everything):
        return ANY
    names, start = [], -1
    for at, value in enumerate((*everything, None)):
        inside = value is not None and value in chosen
        if inside and start < 0:
            start = at
        elif not inside and start >= 0:
            names.append(name(start, at - 1))
            start = -1
    return ", ".join(names)


def _version_run(axes: Axes) -> Callable[[int, int], str]:
    versions = axes.versions

    def name(first: int, last: int) -> str:
        if first == 0:
            return f"below {versions[last + 1]}"
        if first == last:
            return versions[first] if last < len(versions) - 1 else f"{versions[first]} or later"
        return (
            f"{versions[first]} or later"
            if last == len(versions) - 1
            else f"{versions[first]}–{versions[last]}"
        )

    return name


def _system_run(axes: Axes) -> Callable[[int, int], str]:
    def name(first: int, last: int) -> str:
        low, high = axes.stretches[first], axes.stretches[last]
        start = "" if low.low is None else f"{'after ' if low.after else ''}{short(low.low)}"
        if high.high is None:
            return start if low.after else f"{start} or later"
        end = short(high.high)
        if high.inclusive:
            return f"{start} to {end}" if start else f"up to {end}"
        return f"{start}, before {end}" if start else f"before {end}"

    return name


def _group_run(axes: Axes) -> Callable[[int, int], str]:
    return lambda first, last: str(first + 1) if first == last else f"{first + 1}–{last + 1}"


def short(system: str) -> str:
    """Name a system as people do: 13.0.0 is macOS 13."""
    while system.endswith(".0"):
        system = system.removesuffix(".0")
    return system
