"""A verification for people: a table by groups, what is wrong with its cure, what could not be checked."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from release.verification import Check, Verification

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "yellow")}


def show(verification: Verification, console: Console) -> None:
    """Print the rows by groups, and what it comes to."""
    console.print(
        f"[bold]{escape(verification.site)}[/], {escape(verification.at)}", highlight=False, soft_wrap=True
    )
    for group, checks in groupby(verification.rows, key=lambda row: row.group):
        console.print(f"\n[bold]{escape(group)}[/]", highlight=False)
        console.print(_table(list(checks)))
    console.print()
    console.print(summary(verification), highlight=False)


def summary(verification: Verification) -> str:
    """Say in a line how many checks passed, failed, and could not be made."""
    counts = [sum(row.ok is ok for row in verification.rows) for ok in (True, False, None)]
    offered = f"{verification.version} ({verification.build})" if verification.build else "nothing"
    return (
        f"{offered} is offered: {counts[0]} checks passed, {counts[1]} failed, {counts[2]} could not be made"
    )


def _table(checks: list[Check]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for check in checks:
        mark, style = MARKS[check.ok]
        table.add_row(
            Text(f" {mark}", style), Text(check.name), Text(check.detail, "" if check.ok else style)
        )
        if check.ok is False:
            _explain(check, table)
    return table


def _explain(check: Check, table: Table) -> None:
    named = (("at", check.where), ("expected", check.expected), ("found", check.found), ("→", check.cure))
    for word, text in named:
        if text:
            table.add_row("", "", Text(f"{word} {text}", "" if word == "→" else "dim"))
