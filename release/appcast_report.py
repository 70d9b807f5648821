"""Findings and offers for people: tables that fit a terminal of 100 columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from appcast.audience import Offer, offer_of
from appcast.audience_merge import ANY, Group
from appcast.client import Host, Selection, Why
from appcast.feed import NotesLink
from appcast.lint import Finding
from appcast.lint_rules import DOWNLOAD_RULES, RULES

if TYPE_CHECKING:
    from rich.console import Console

    from release.appcast_tools import Linted, Shown

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
PLACES = 6
"""So many lines of the feed are named for one rule, the rest counted."""


def findings(linted: Linted, console: Console, *, as_json: bool = False) -> None:
    """Print what was found, each rule once with all the places where it speaks."""
    if as_json:
        _json(linted.as_json(), console)
        return
    table = Table.grid(padding=(0, 2))
    for column in ("severity", "text"):
        table.add_column(column, overflow="fold")
    for same in _together(linted.findings):
        first = same[0]
        text = Text.assemble(_common(same), (f"  {first.id}", "dim"))
        table.add_row(Text(first.severity, STYLES[first.severity]), text)
        if places := _places(same):
            table.add_row("", Text(places, "dim"))
        table.add_row("", Text(f"→ {first.cure}"))
    if linted.findings:
        console.print(table)
    _summary(linted, console)


def audience(shown: Shown, console: Console, *, as_json: bool = False) -> None:
    """Print who gets what, and what changed."""
    if as_json:
        _json(shown.as_json(), console)
        return
    console.print(f"[bold]{escape(shown.target)}[/], at {shown.now:%d %b %Y %H:%M %Z}", highlight=False)
    for item, groups in shown.rollouts:
        console.print(f"{item.version} is rolled out to {groups} of 7 groups so far", highlight=False)
    console.print()
    offers(shown.groups, console)
    if shown.against is None:
        return
    console.print()
    if not shown.changed:
        console.print(f"Nobody is offered anything else than by {escape(shown.against)}.", highlight=False)
        return
    console.print(f"Changed against [bold]{escape(shown.against)}[/]:", highlight=False)
    console.print()
    offers(shown.changed, console, against=True)


def selection(chosen: Selection, host: Host, console: Console, *, as_json: bool = False) -> None:
    """Print what one host is offered and what became of all other items."""
    offer = offer_of(chosen, host)
    if as_json:
        _json(_selection_json(chosen, offer), console)
        return
    head = f"[bold green]{offer.version}[/] is offered" if offer.version else "[bold]nothing[/] is offered"
    console.print(f"{head}: {escape(_how(offer))}", highlight=False)
    if chosen.item is not None and chosen.item.enclosure is not None and not offer.informational:
        source = chosen.delta.enclosure if chosen.delta is not None else chosen.item.enclosure
        size = "" if source.length is None else f", {source.length:,} bytes"
        console.print(f"  from {escape(source.url)}{size}", highlight=False, soft_wrap=True)
    if chosen.notes is not None:
        notes = chosen.notes.url if isinstance(chosen.notes, NotesLink) else "those in the feed"
        console.print(f"  notes: {escape(notes)}", highlight=False, soft_wrap=True)
    console.print()
    table = _table("build", "version", "line", "this item …")
    for one in chosen.considered:
        style = "green" if one.why is Why.OFFERED else ""
        line = "" if one.item.line is None else str(one.item.line)
        table.add_row(one.item.version, one.item.short_version or "", line, one.why.value, style=style)
    console.print(table)


def _together(found: Sequence[Finding]) -> Iterator[list[Finding]]:
    by_rule: dict[str, list[Finding]] = {}
    for each in found:
        by_rule.setdefault(each.id, []).append(each)
    yield from by_rule.values()


def _detail(one: Finding) -> str:
    rule = RULES.get(one.id) or DOWNLOAD_RULES[one.id]
    return one.what[len(rule.what) :].removeprefix(": ")


def _common(same: Sequence[Finding]) -> str:
    """Return what all findings of a rule say, with the detail if it is the same for all."""
    first = same[0]
    if len({each.what for each in same}) == 1:
        return first.what
    return first.what[: len(first.what) - len(_detail(first))].removesuffix(": ")


def _places(same: Sequence[Finding]) -> str:
    """Name the places: in one line, or a line each if each has its own detail."""
    own = len({each.what for each in same}) > 1
    shown = [_place(each, own) for each in same[:PLACES]]
    more = [f"and {len(same) - PLACES} more"] if len(same) > PLACES else []
    return ("\n" if own else "; ").join(filter(None, [*shown, *more]))


def _place(one: Finding, own: bool) -> str:
    words = [f"line {one.line}"] if one.line is not None else []
    words += [f"item {one.item}"] if one.item is not None else []
    return ", ".join(words) + (f": {_detail(one)}" if own else "")


def _summary(linted: Linted, console: Console) -> None:
    said = ", ".join(linted.counted())
    looked = (
        ""
        if linted.files is None
        else f", {linted.files} file{'s' * (linted.files != 1)} ({linted.size / 1e6:,.1f} MB) looked into"
    )
    items = f"{linted.items} item{'s' * (linted.items != 1)}"
    if linted.findings:
        console.print()
    console.print(
        f"[bold]{escape(linted.target)}[/]: {items}{looked}: {said or 'nothing wrong'}", highlight=False
    )
    if linted.files is None:
        console.print("not checked: the files themselves; --download does", style="dim", highlight=False)


def offers(groups: Sequence[Group], console: Console, *, against: bool = False) -> None:
    """Print one table; columns in which all rows say the same are left out."""
    channels = any(group.channels != ANY for group in groups)
    phased = any(group.groups != ANY for group in groups)
    names = ["channel"] * channels + ["has build", "macOS", "Mac"] + ["group"] * phased
    table = _table(*names, *(["was offered"] if against else []), "is offered", "")
    last = ""
    for group in groups:
        if last not in ("", group.channels):
            table.add_row()
        offer, before = group.row.offer, group.row.before
        cells = [group.channels if group.channels != last else ""] * channels
        cells += [group.versions, group.systems, group.architectures] + [group.groups] * phased
        cells += [_version(before)] if against and before is not None else []
        lost = "bold red" if before is not None and before.version else ""
        table.add_row(*cells, Text(_version(offer), "green" if offer.version else lost), _remark(offer))
        last = group.channels
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _version(offer: Offer) -> str:
    return offer.version or "–"


def _remark(offer: Offer) -> str:
    """Say why nothing is offered, or what is special about the offer."""
    if offer.version is None:
        return offer.why
    if offer.informational:
        return "announced only"
    words = ["critical"] * offer.critical + ["by delta"] * offer.delta
    words += ["major: asks first"] if offer.major else [] if offer.silent else ["asks first"]
    return ", ".join(words)


def _how(offer: Offer) -> str:
    if offer.version is None:
        return offer.why
    silent = "installed without asking, if the user agreed to that" if offer.silent else ""
    return ", ".join(filter(None, [_remark(offer), silent]))


def _selection_json(chosen: Selection, offer: Offer) -> dict[str, object]:
    return {
        "version": offer.version,
        "why": offer.why,
        "delta_from": chosen.delta.from_version if chosen.delta is not None else None,
        "major": offer.major,
        "critical": offer.critical,
        "informational": offer.informational,
        "silent": offer.silent,
        "considered": [
            {"version": one.item.version, "line": one.item.line, "why": one.why.value}
            for one in chosen.considered
        ],
    }


def _json(data: object, console: Console) -> None:
    console.print(
        json.dumps(data, indent=1, ensure_ascii=False), markup=False, highlight=False, soft_wrap=True
    )
