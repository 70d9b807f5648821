"""appcast.*: look at feeds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from release.tasks.common import ROOT, console, guarded, whole


@task(
    name="lint",
    help={
        "target": "the feed: a path or an address",
        "download": "look into the files it points to as well",
        "app": "the .app to compare with: its key, version, needs",
        "against": "the published feed to compare with: a path or an address",
        "strict": "let warnings fail, too",
        "json": "print JSON",
    },
)
@guarded
def appcast_lint(
    c: Context,
    target: str,
    download: bool = False,
    app: str = "",
    against: str = "",
    strict: bool = False,
    json: bool = False,
) -> None:
    """Look for everything in a feed that would keep an update from working."""
    from release import appcast_report, appcast_tools
    from release.progress import display

    with appcast_tools.public_session(ROOT, target) as session, display(sys.stderr) as shown:
        shown.start("Look into the files", 1, 1)
        linted = appcast_tools.lint(
            target,
            session=session,
            look_inside=download,
            app=Path(app) if app else None,
            against=against or None,
            on_progress=shown.advance,
        )
    appcast_report.findings(linted, console(), as_json=json)
    linted.require(strict=strict)


@task(
    name="show",
    help={
        "target": "the feed: a path or an address (default: dist/current/appcast.xml)",
        "against": "the published feed: show what changes",
        "now": "at this moment: 2026-12-31T18:00",
        "json": "print JSON",
    },
)
@guarded
def appcast_show(
    c: Context,
    target: str = "dist/current/appcast.xml",
    against: str = "",
    now: str = "",
    json: bool = False,
) -> None:
    """Show who is offered what: every kind of Mac that the feed tells apart."""
    from release import appcast_report, appcast_tools

    with appcast_tools.public_session(ROOT, target) as session:
        moment = appcast_tools.moment(now)
        shown = appcast_tools.show(target, session=session, against=against or None, now=moment)
    appcast_report.audience(shown, console(), as_json=json)


@task(
    name="select",
    help={
        "target": "the feed: a path or an address (default: dist/current/appcast.xml)",
        "version": "the build that the Mac has (CFBundleVersion)",
        "system": "its macOS, such as 14.5",
        "arch": "arm64 or x86_64",
        "channel": "a channel it follows (repeatable)",
        "group": "its group in a phased rollout, 1 to 7",
        "user": "the user asked for updates",
        "skipped": "the version that the user skipped",
        "now": "at this moment: 2026-12-31T18:00",
        "json": "print JSON",
    },
    iterable=["channel"],
)
@guarded
def appcast_select(
    c: Context,
    target: str = "dist/current/appcast.xml",
    version: str = "",
    system: str = "",
    arch: str = "arm64",
    channel: Any = None,
    group: str = "1",
    user: bool = False,
    skipped: str = "",
    now: str = "",
    json: bool = False,
) -> None:
    """Tell what one Mac is offered, and why it is not offered the rest."""
    from release import appcast_report, appcast_tools

    host = appcast_tools.host_of(
        version,
        system,
        arch,
        channel or (),
        group=whole(group, "--group"),
        user_initiated=user,
        skipped=skipped or None,
    )
    with appcast_tools.public_session(ROOT, target) as session:
        chosen = appcast_tools.choose(target, host, session=session, now=appcast_tools.moment(now))
    appcast_report.selection(chosen, host, console(), as_json=json)


collection = Collection("appcast")
for _task in (appcast_lint, appcast_show, appcast_select):
    collection.add_task(_task)
