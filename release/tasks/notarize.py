"""notarize.*: a release that waits for Apple."""

from __future__ import annotations

import os
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from release.tasks.common import ROOT, console, guarded, pairs, place, told

_SHARED = {
    "profile": "rehearsal (default) or production",
    "dist": "where releases are (default: dist)",
    "set": "override a key of release.toml, as for release (repeatable)",
}


@task(
    name="resume",
    iterable=["set"],
    help={
        **_SHARED,
        "from_": "the pending release: its folder, or the zip of it (default: the one in dist)",
        "event": "started by GitHub: check and follow the event's payload",
        "resubmit": "send the same bytes to Apple once more: for a submission that is stuck",
        "accept_pending": "end with status 0, too, if Apple has not decided yet",
    },
)
@guarded
def resume(
    c: Context,
    profile: str = "rehearsal",
    dist: str = "",
    from_: str = "",
    event: bool = False,
    resubmit: bool = False,
    accept_pending: bool = False,
    set: Any = None,
) -> None:
    """Finish a release that waits for Apple, of this checkout or of another one of the same commit."""
    from release import dispatch, report, summary
    from release.pipeline import Selection
    from release.progress import display
    from release.run import Options
    from release.run import resume as finish

    options = Options(
        profile,
        overrides=pairs(set),
        selection=Selection(force=frozenset({"notarize"} if resubmit else ())),
        dist=place(dist),
    )
    with told(accept_pending):
        asked = dispatch.read(os.environ) if event else None
        with display() as shown:
            done = finish(ROOT, options, shown, source=place(from_), asked=asked)
    if done is None:
        console().print("it is public already: nothing to do (./invoke verify looks at it)")
        summary.already_public(os.environ)
        return
    report.closing(done, console())
    summary.finished(done, os.environ)


@task(
    name="status", iterable=["set"], help={**_SHARED, "id": "only this submission, with its log's findings"}
)
@guarded
def status(c: Context, profile: str = "rehearsal", dist: str = "", id: str = "", set: Any = None) -> None:
    """Ask Apple about what waits here and what was submitted lately: id, state, age."""
    from commands import Subprocess
    from release import config as configuration
    from release import notarization

    config = configuration.load(ROOT, profile, overrides=pairs(set))
    folder = place(dist) or ROOT / "dist"
    notarization.show(config, folder, console(), runner=Subprocess(), id=id)


collection = Collection("notarize")
collection.add_task(resume)
collection.add_task(status)
