"""What the doctor tells a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from release.doctor.check import Diagnosis, Finding

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]·[/]"}


def show(found: Diagnosis, console: Console) -> None:
    """Print a line a check, the cure below what is wrong, and how it stands in all."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in ("mark", "group", "name", "what"):
        table.add_column(overflow="fold")
    group = ""
    for one in found.findings:
        shown, group = "" if one.group == group else one.group, one.group
        mark = "[yellow]![/]" if one.warns else MARKS[one.ok]
        cure = f"\n→ {escape(one.cure)}" if one.cure else ""
        table.add_row(mark, f"[dim]{shown}[/]", escape(one.name), _detail(one) + cure)
    console.print(table)
    console.print(f"\n{found.profile}: {summary(found)}", highlight=False)


def summary(found: Diagnosis) -> str:
    """Say how many checks passed, and what is left open."""
    passed = [one for one in found.findings if one.ok]
    warnings = sum(one.warns for one in passed)
    parts = [f"{len(passed)} of {len(found.findings)} checks passed"]
    parts += [f"{warnings} with a warning"] if warnings else []
    parts += [f"{len(found.failed)} failed"] if found.failed else []
    parts += [f"{len(found.skipped)} not checked"] if found.skipped else []
    return ", ".join(parts)


def _detail(one: Finding) -> str:
    from rich.markup import escape

    return f"not checked: {escape(one.detail)}" if one.ok is None else escape(one.detail)
