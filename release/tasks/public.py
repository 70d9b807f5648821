"""What is public, and how to change it: tasks of the top level, which tasks.py takes from TASKS."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import task

from errors import Exit, Fault
from release.tasks.common import ROOT, console, guarded, place, whole

if TYPE_CHECKING:
    from release.public import PublicSide
    from release.rollout import What

_WHERE = {"profile": "rehearsal (default) or production", "dist": "where releases are (default: dist)"}
_SHARED = {**_WHERE, "dry_run": "say what would be done"}


@task(help={**_WHERE, "json": "print JSON"})
@guarded
def releases(c: Context, profile: str = "rehearsal", dist: str = "", json: bool = False) -> None:
    """List what is published: by channel, with sizes, dates, how far it is rolled out, and by whom."""
    from release import public_report
    from release.releases import releases as find

    with _opened(profile, dist) as side:
        public_report.releases(find(side), side.site, console(), as_json=json)


@task(help={**_SHARED, "to": "the version or build to go back to (default: what was offered before)"})
@guarded
def rollback(
    c: Context, to: str = "", profile: str = "rehearsal", dist: str = "", dry_run: bool = False
) -> None:
    """Go back to the feed that was public before, and let the download button follow."""
    from release import public_report
    from release.rollback import plan, roll_back

    with _opened(profile, dist) as side:
        wanted = plan(side, to)
        public_report.rollback(wanted, console(), _release(profile))
        if dry_run:
            public_report.dry(console())
        else:
            public_report.done(*roll_back(side, wanted), console())


@task(
    positional=["version"],
    help={**_SHARED, "version": "version or build", "force": "even if its channel is empty then"},
)
@guarded
def yank(
    c: Context,
    version: str,
    force: bool = False,
    profile: str = "rehearsal",
    dist: str = "",
    dry_run: bool = False,
) -> None:
    """Take one release out of the feed; its files stay for those who are downloading them."""
    from release import manifest, public_report
    from release import yank as yanking

    with _opened(profile, dist) as side:
        wanted = yanking.plan(side, version, force=force)
        floor = manifest.highest(side.store, side.require().feed)
        public_report.yank(wanted, floor, console(), _release(profile))
        if dry_run:
            public_report.dry(console())
        else:
            public_report.done(*yanking.yank(side, wanted, force=force), console())


@task(
    optional=["version"],
    help={
        **_SHARED,
        "version": "version or build (default: the one that is rolled out in phases)",
        "pause": "no further group of Macs is offered it",
        "resume": "go on with the groups that are left",
        "complete": "offer it to everybody now",
    },
)
@guarded
def rollout(
    c: Context,
    version: str = "",
    pause: bool = False,
    resume: bool = False,
    complete: bool = False,
    profile: str = "rehearsal",
    dist: str = "",
    dry_run: bool = False,
) -> None:
    """Hold a phased rollout, let it go on, or offer it to everybody."""
    from release import public_report
    from release import rollout as rolling

    what = _one_of(pause=pause, resume=resume, complete=complete)
    with _opened(profile, dist) as side:
        wanted = rolling.plan(side, what, version)
        public_report.turn(wanted, console())
        if dry_run:
            public_report.dry(console())
        else:
            public_report.done(None, rolling.turn(side, wanted), console())


@task(
    help={
        **_SHARED,
        "keep": "so many builds of each channel stay",
        "apply": "remove it; without this it is only said",
    }
)
@guarded
def prune(
    c: Context,
    keep: str = "10",
    apply: bool = False,
    profile: str = "rehearsal",
    dist: str = "",
    dry_run: bool = False,
) -> None:
    """Remove old builds that nothing refers to any more. Says what would go, and removes it with --apply."""
    from release import prune as pruning
    from release import public_report

    with _opened(profile, dist) as side:
        wanted = pruning.plan(side, whole(keep, "--keep"))
        public_report.prune(wanted, console())
        if wanted.nothing:
            return
        if dry_run or not apply:
            console().print("[yellow]dry run[/]: --apply removes it", highlight=False)
            return
        pruning.prune(side, wanted)
        console().print("[green]done[/]: removed", highlight=False)


@task(
    help={
        **_WHERE,
        "url": "another site than the profile's",
        "key": "the public key that must have signed everything, as in SUPublicEDKey",
        "hosts": "default: look into what some Mac is offered; all: into everything in the feed",
        "json": "print JSON",
        "keep": "a new folder in which downloads and apps stay",
    }
)
@guarded
def verify(
    c: Context,
    profile: str = "rehearsal",
    url: str = "",
    key: str = "",
    hosts: str = "default",
    json: bool = False,
    keep: str = "",
    dist: str = "",
) -> None:
    """Check what is public as a stranger would: every download, signature, page and promise."""
    import json as writer

    from commands import Subprocess
    from release.verify import command, report

    wish = command.Wish(profile, url, key, hosts, place(keep), place(dist))
    found = command.verify(ROOT, wish, Subprocess())
    if json:
        console().print_json(writer.dumps(found.as_json()), highlight=False)
    else:
        report.show(found, console())
    found.require()


def _opened(profile: str, dist: str) -> AbstractContextManager[PublicSide]:
    from release.maintenance import opened

    return opened(ROOT, profile, place(dist))


def _release(profile: str) -> str:
    return "./invoke release" + (f" --profile {profile}" if profile != "rehearsal" else "")


def _one_of(**asked: bool) -> What:
    chosen: list[Any] = [name for name, wanted in asked.items() if wanted]
    if len(chosen) != 1:
        raise Fault("say one of --pause, --resume, --complete", status=Exit.USAGE)
    what: What = chosen[0]
    return what


TASKS: tuple[Any, ...] = (verify, releases, rollback, yank, rollout, prune)
