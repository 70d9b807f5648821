"""The summary of a job on GitHub Actions, in Markdown: what was made, what was checked, what comes next."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from errors import PENDING_STATUSES, Fault
from release import workflow
from release.report import files, not_checked

if TYPE_CHECKING:
    from release.run import Done


def finished(done: Done, environ: Mapping[str, str]) -> None:
    """Tell of a release that has come to its end, or to where it was told to stop."""
    workflow.summary(environ, "\n".join(_finished(done)))


def already_public(environ: Mapping[str, str]) -> None:
    """Tell that there was nothing to do."""
    workflow.summary(environ, "## Public already\n\nThe feed offers this build: there was nothing to finish.")


def failed(fault: Fault, environ: Mapping[str, str]) -> None:
    """Tell what stopped a release, or what it waits for, and what to do."""
    title = (
        "Waiting for Apple" if fault.status in PENDING_STATUSES else f"Failed (status {int(fault.status)})"
    )
    lines = [f"## {title}", "", _plain(fault.what)]
    lines += (
        ["", "```", *(line.replace("```", "'''") for line in fault.details), "```"] if fault.details else []
    )
    lines += ["", f"**Next:** {_plain(fault.cure)}"] if fault.cure else []
    if fault.status in PENDING_STATUSES:
        lines += [
            "",
            "The artifact of this run holds all that is needed: any machine can finish the release.",
        ]
    workflow.summary(environ, "\n".join(lines))


def _finished(done: Done) -> list[str]:
    app, version = done.config.app.name, done.version
    kind = " (rehearsal)" if done.config.rehearsal else ""
    lines = [
        f"## {app} {version.version} ({version.build}){kind}",
        "",
        "| step | | seconds |",
        "|---|---|--:|",
    ]
    lines += [f"| {one.name} | {one.status} | {one.seconds:.1f} |" for one in done.outcomes]
    if not done.complete:
        return [*lines, "", "Not finished: `./invoke release` goes on from here."]
    lines += ["", "| file | bytes | SHA-256 |", "|---|--:|---|"]
    lines += [f"| {name} | {size} | `{digest}` |" for name, size, digest in files(done)]
    return [*lines, "", *_checks(done)]


def _checks(done: Done) -> list[str]:
    if not done.places.verification.is_file():
        return []
    rows = json.loads(done.places.verification.read_text("utf-8"))["rows"]
    lines = []
    for group, found in groupby(rows, key=lambda row: row["group"]):
        passed = [_plain(row["name"]) for row in found if row["ok"]]
        lines += [f"- **verified** {_plain(group)}: {', '.join(passed)}"] if passed else []
    lines += [
        f"- *not checked* {_plain(row['name'])}: {_plain(row['detail'].removeprefix('not checked: '))}"
        for row in rows
        if row["ok"] is None
    ]
    unseen = not_checked(rehearsal=done.config.rehearsal, mac=sys.platform == "darwin")
    return [*lines, *(f"- *not checked* {line}" for line in unseen)]


def _plain(text: str) -> str:
    """Text that can't become markup: a path or a notary's message is shown as it is."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in text.replace("\n", " "))
