"""What Apple says of submissions: those that wait in this checkout, and the team's last ones."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from release import pending
from release import submission as submissions
from release.places import world
from release.services import Services
from signing.notary_wait import undecided_cure
from signing.submission import IN_PROGRESS, LogPending, Notary, age_text

if TYPE_CHECKING:
    from rich.console import Console

    from commands import Runner
    from release.config import Config

SHOWN = 20


def show(config: Config, dist: Path, console: Console, *, runner: Runner, id: str = "") -> None:
    """Print one submission with its log's findings, or what waits here and the last ones of the team."""
    home = world(config, dist)
    with Services(config, home, runner, 0) as services:
        notary = services.notary()
        if id:
            _one(notary, id, console)
            return
        _waiting(config, dist, notary, console)
        _history(notary, console)


def _one(notary: Notary, id: str, console: Console) -> None:
    console.print(f"{id}: {notary.status(id)}", highlight=False, markup=False)
    try:
        log = notary.log(id)
    except LogPending:
        console.print("no log yet", style="dim")
        return
    for line in (log.summary, *(line for issue in log.issues for line in issue.lines)):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _waiting(config: Config, dist: Path, notary: Notary, console: Console) -> None:
    for folder in pending.waiting(dist, config.profile_name):
        manifest, note = pending.peek(folder), submissions.read(folder / "submission.json")
        status = notary.status(manifest.submission)
        age = time.time() - note.submitted if note and note.submitted else 0.0
        console.print(
            f"{manifest.release}: {status}, submitted {age_text(age)} ago as {manifest.submission}",
            highlight=False,
            markup=False,
        )
        cure = undecided_cure(age) if status == IN_PROGRESS else "./invoke notarize.resume finishes it"
        console.print(f"  → {cure}", highlight=False, markup=False, soft_wrap=True)


def _history(notary: Notary, console: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("submission", "status", "age", "name"):
        table.add_column(column, overflow="fold")
    for each in notary.history()[:SHOWN]:
        table.add_row(each.id, each.status, _age(each.created), each.name)
    console.print(table)


def _age(created: str) -> str:
    try:
        return age_text(time.time() - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return created
