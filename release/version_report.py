"""What bump, tag and secrets tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from release.changelog import RULE

if TYPE_CHECKING:
    from rich.console import Console

    from release.bump import Bump
    from release.config import Config
    from release.credentials import Credential, Loaded
    from release.tag import Tag

DRY = "[yellow]dry run[/]: nothing was written"


def bump(wanted: Bump, console: Console) -> None:
    """Show the version, why it is that one, and what it is about."""
    before = f"{wanted.before} → " if wanted.before else ""
    console.print(f"[bold]{before}{wanted.version}[/] ({wanted.why}), build {wanted.build}", highlight=False)
    console.print(f"[dim]{RULE}[/]", highlight=False)
    if wanted.unknown:
        console.print(
            f"[yellow]not checked[/] whether it rises above what is published: {wanted.unknown}",
            highlight=False,
        )
    console.print(f"\n{wanted.body}\n", highlight=False, markup=False)


def bumped(wanted: Bump, console: Console, *, dry_run: bool, committed: bool) -> None:
    """Say what was written, and what comes next."""
    names = ", ".join(path.name for path, _ in wanted.texts)
    if dry_run:
        console.print(f"{DRY}; it would date [Unreleased] in {names} {wanted.date}".replace("[U", "\\[U"))
        return
    console.print(f"{names}: \\[{wanted.version}] - {wanted.date}", highlight=False)
    next_one = "./invoke tag" if committed else f'git commit -m "Release {wanted.version}" -- {names}'
    console.print(
        f"→ {next_one.replace(', ', ' ')}{'' if committed else ', then ./invoke tag'}", highlight=False
    )


def tag(made: Tag, console: Console, *, dry_run: bool) -> None:
    """Show the tag, its commit and its message; say how to push it."""
    where = f" on {made.branch}" if made.branch else ", no branch"
    kind = "signed" if made.signed else "unsigned"
    console.print(
        f"[bold]{made.name}[/] ({kind}) on {made.head[:12]}{where}: {made.subject}", highlight=False
    )
    console.print(f"\n{made.message}", highlight=False, markup=False)
    if dry_run:
        console.print("[yellow]dry run[/]: nothing was tagged")
        return
    console.print(f"→ {made.push}", highlight=False)


def secrets(config: Config, found: Sequence[Credential], console: Console, *, as_json: bool) -> None:
    """List secrets; never a value."""
    from rich.markup import escape
    from rich.table import Table

    missing = [one.name for one in found if one.missing]
    if as_json:
        rows = [{"name": one.name, **asdict(one)} for one in found]
        for row in rows:
            del row["address"]
        data = {"profile": config.profile_name, "missing": missing, "secrets": rows}
        console.print_json(json.dumps(data), highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("looked for in", "", "what it is for", "where to get it"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(escape(one.uri), _said(one), escape(one.purpose), escape(one.source))
    console.print(table)
    needs = f"{len(missing)} missing" if missing else "nothing is missing"
    console.print(f"\n{config.profile_name}: {needs}", highlight=False)


def loaded(folder: Loaded, console: Console, *, github: bool, sent: bool) -> None:
    """Say what was loaded, or what would be and how."""
    for name in folder.names:
        line = f"{' '.join(folder.argv(name))} < {folder.folder / name}" if github and not sent else name
        console.print(f"{'✓ ' if sent else ''}{line}", highlight=False, soft_wrap=True)
    if folder.missing:
        console.print(f"[yellow]not in the folder[/]: {', '.join(folder.missing)}", highlight=False)
    if sent:
        console.print(f"{len(folder.names)} loaded into GitHub", highlight=False)
    else:
        rest = "" if github else "; --github keeps them for the repository's workflows"
        console.print(f"[yellow]checked, nothing was loaded[/]{rest}", highlight=False)


def _said(one: Credential) -> str:
    if one.present:
        return "[green]set[/]"
    if one.present is None:
        return "[yellow]can't be told[/]"
    return "[red]missing[/]" if one.needed else "[dim]not needed[/]"
