"""What is public, and what a change of it does, for people: tables that fit a terminal of 100 columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from appcast.audience_merge import short
from appcast.client import GROUPS
from appcast.feed import Item
from appcast.rollout import rollout as phases_of
from release.appcast_report import offers
from release.objects import RELEASES, Placed

if TYPE_CHECKING:
    from rich.console import Console

    from appcast.audience_merge import Group
    from release.prune import Prune
    from release.releases import Release
    from release.rollback import Rollback
    from release.rollout import Turn
    from release.yank import Yank

STYLES = {"offered": "green", "superseded": "dim", "withdrawn": "red", "not published": "yellow"}


def releases(found: Sequence[Release], site: str, console: Console, *, as_json: bool = False) -> None:
    """Print what is published, by channel."""
    if as_json:
        data = [{**asdict(one), "published": _iso(one)} for one in found]
        console.print_json(json.dumps({"format": 1, "site": site, "releases": data}))
        return
    _say(console, f"[bold]{escape(site)}[/]")
    table = _table("channel", "version", "build", ">size", "published", "macOS", "Mac", "state", "by")
    last = ""
    for one in found:
        if last not in ("", one.channel):
            table.add_row()
        channel = one.channel if one.channel != last else ""
        date = f"{one.published:%Y-%m-%d %H:%M}" if one.published else ""
        size = "" if one.size is None else f"{one.size / 1e6:.1f} MB"
        state = Text(_state(one), STYLES[one.state])
        cells = (channel, one.version, one.build, size, date, short(one.minimum_system))
        by = one.by.removesuffix(" (rehearsal)")
        table.add_row(*cells, ", ".join(one.architectures), state, by)
        last = one.channel
    console.print(table)
    if not found:
        _say(console, "nothing is published")


def rollback(plan: Rollback, console: Console, command: str) -> None:
    """Print what a rollback would do, and the way on from there."""
    newest = plan.newest
    target = _name(newest) if newest else "nothing for everybody"
    was = _name(plan.before.newest) if plan.before.newest else "nothing"
    if plan.done:
        _say(console, f"everybody is offered [bold]{target}[/] already; `latest` is checked")
        return
    _say(console, f"back from {was} to [bold]{target}[/], as it was public from {plan.to.when}")
    how = f"signed anew: {plan.why}" if plan.data is None else "to the byte as it was"
    _say(console, f"  the feed is {escape(how)}; {plan.to.object.key}")
    for word, items in (("out", plan.withdrawn), ("in again", plan.restored)):
        if items:
            _say(console, f"  {word}: {', '.join(map(_name, items))}")
    _changes(plan.changes, console)
    _way_on(plan.stuck, plan.floor, command, console)


def yank(plan: Yank, floor: str, console: Console, command: str) -> None:
    """Print what taking out a release would do."""
    if plan.item is None:
        _say(console, f"{plan.build} is out of the feed already; `latest` is checked")
        return
    _say(console, f"out of the feed: [bold]{_name(plan.item)}[/]; its files stay")
    if plan.empties:
        _say(console, f"  [red]the channel {plan.empties!r} is empty then[/]")
    _changes(plan.changes, console)
    _way_on(plan.stuck, floor, command, console)


def turn(plan: Turn, console: Console) -> None:
    """Print what becomes of a rollout."""
    name, known = _name(plan.after), phases_of(plan.after)
    groups = known.groups(plan.now) if known else GROUPS
    words = {
        "pause": f"is held: {groups} of {GROUPS} groups of Macs have been offered it, no other one will be",
        "resume": f"goes on: {groups} of {GROUPS} groups have been offered it, the next ones follow",
        "complete": "is offered to everybody from now on",
    }
    _say(console, f"[bold]{name}[/] {words[plan.what]}")
    _changes(plan.changes, console)


def prune(plan: Prune, console: Console) -> None:
    """Print what would be removed."""
    if plan.nothing:
        _say(console, "nothing to remove")
    else:
        table = _table("remove", ">size", "")
        for made in plan.releases:
            files = f"{len(made.objects)} files" if len(made.objects) > 1 else "1 file"
            size = sum(one.size for one in made.objects)
            table.add_row(
                f"{made.version} ({made.build})", f"{size / 1e6:.1f} MB", f"{made.channel}, {files}"
            )
        table.add_row(f"{len(plan.feeds)} old feeds", "", "")
        console.print(table)
        _say(console, f"{len(plan.objects)} objects, {plan.size / 1e6:.1f} MB")
    _say(
        console, f"staying: {', '.join(f'{made.version} ({made.build})' for made in plan.staying) or 'none'}"
    )
    if plan.unknown:
        names = ", ".join(key.removeprefix(RELEASES) for key in plan.unknown[:4])
        more = f" and {len(plan.unknown) - 4} more" if len(plan.unknown) > 4 else ""
        _say(console, f"left alone, no manifest lists them: {escape(names)}{more}")


def done(placed: Placed | None, warnings: Sequence[str], console: Console) -> None:
    """Print that a change has been made."""
    follows = f"; {placed.key.removeprefix(RELEASES)} {placed.action}" if placed else ""
    _say(console, f"[green]done[/]: the feed is public{follows}")
    for line in warnings:
        _say(console, f"  [yellow]{escape(line)}[/]")


def dry(console: Console) -> None:
    """Say that nothing was done."""
    _say(console, "[yellow]dry run[/]: nothing was changed")


def _changes(groups: Sequence[Group], console: Console) -> None:
    if not groups:
        _say(console, "  nobody is offered anything else than before")
        return
    console.print()
    offers(groups, console, against=True)
    console.print()


def _way_on(stuck: Sequence[Group], floor: str, command: str, console: Console) -> None:
    """Say who stays with what he has, and what helps."""
    if not stuck:
        return
    _say(
        console, "[bold]Sparkle never goes back[/]: until a higher build is out nothing is offered to who has"
    )
    for group in stuck:
        _say(console, f"  build {group.versions} on {_macs(group)}")
    _say(console, f"It has to exceed {floor}, the highest that ever was public. When the cure is committed:")
    _say(console, f"  {command} --build {int(floor.split('.')[0]) + 1}")


def _macs(group: Group) -> str:
    parts = [f"macOS {group.systems}", group.architectures if group.architectures != "any" else "any Mac"]
    return ", ".join(parts)


def _state(one: Release) -> str:
    words: list[str] = [one.state]
    if one.groups is not None:
        words.append(f"{one.groups} of {GROUPS} groups{', paused' if one.paused else ''}")
    words += ["latest"] if one.latest else []
    words += [one.undone] if one.undone else []
    return ", ".join(words)


def _name(item: Item) -> str:
    return escape(f"{item.short_version or '?'} ({item.version})")


def _iso(one: Release) -> str | None:
    return one.published.isoformat() if one.published else None


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        right: Any = "right" if column.startswith(">") else "left"
        table.add_column(column.removeprefix(">"), justify=right, overflow="fold")
    return table


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
