"""What comes before a release: doctor, bump, tag, secrets. tasks.py takes TASKS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit as Stop
from invoke.tasks import task

from release.tasks.common import ROOT, console, guarded, pairs, place


@task(
    iterable=["set"],
    help={
        "profile": "rehearsal (default) or production",
        "json": "print JSON",
        "version": "the version to ship, if not the tag's",
        "set": "override a key of release.toml, as for release",
        "dist": "where releases are (default: dist)",
    },
)
@guarded
def doctor(
    c: Context,
    profile: str = "rehearsal",
    json: bool = False,
    version: str = "",
    set: Any = None,
    dist: str = "",
) -> None:
    """Look whether everything is there that a release needs; each failure comes with its cure."""
    import json as writer

    from commands import Subprocess
    from release import doctor as doctors
    from release.doctor import report

    home = place(dist)
    wish = doctors.Wish(profile, version or None, home, pairs(set))
    with doctors.opened(ROOT, wish, Subprocess()) as case:
        found = doctors.doctor(case)
    if json:
        console().print_json(writer.dumps(found.as_json()), highlight=False)
    else:
        report.show(found, console())
    if found.failed:
        raise Stop(code=found.status)


@task(
    help={
        "to": "major, minor, patch or a version (default: what the changelog says)",
        "profile": "whose published versions it has to rise above",
        "commit": "commit the changelogs",
        "dry_run": "only say what would be written",
        "dist": "where releases are (default: dist)",
    }
)
@guarded
def bump(
    c: Context,
    to: str = "",
    profile: str = "rehearsal",
    commit: bool = False,
    dry_run: bool = False,
    dist: str = "",
) -> None:
    """Choose the next version by the changelog, and date its section there."""
    from datetime import UTC, datetime

    from commands import Subprocess
    from release import bump as bumping
    from release import config as configuration
    from release import version_report

    config, runner = configuration.load(ROOT, profile), Subprocess()
    home = place(dist) or ROOT / "dist"
    published, unknown = bumping.published_versions(config, runner, home)
    today = datetime.now(UTC).date()
    wanted = bumping.plan(ROOT, to, runner=runner, today=today, published=published, unknown=unknown)
    version_report.bump(wanted, console())
    if not dry_run:
        bumping.write(wanted)
        if commit:
            bumping.commit(wanted, ROOT, runner)
    version_report.bumped(wanted, console(), dry_run=dry_run, committed=commit)


@task(
    help={
        "version": "the version to tag (default: the newest one in the changelog)",
        "commit": "the id that HEAD has to have",
        "unsigned": "for who has no key to sign with",
        "dry_run": "only say what would be tagged",
    }
)
@guarded
def tag(
    c: Context, version: str = "", commit: str = "", unsigned: bool = False, dry_run: bool = False
) -> None:
    """Tag HEAD as a release, signed, with the changelog's section as message; says how to push it."""
    from commands import Subprocess
    from release import config as configuration
    from release import tag as tagging
    from release import version_report

    config, runner = configuration.load(ROOT), Subprocess()
    wanted = tagging.plan(config, version, runner=runner, commit=commit, signed=not unsigned)
    if not dry_run:
        tagging.make(wanted, ROOT, runner)
    version_report.tag(wanted, console(), dry_run=dry_run)


@task(
    help={
        "profile": "rehearsal or production",
        "json": "print JSON",
        "load": "a folder with a file for each secret, named like its variable, mode 0600",
        "github": "keep those in GitHub, for the environment production of this repository (gh secret set)",
        "dry_run": "only say what would be loaded",
    }
)
@guarded
def secrets(
    c: Context,
    profile: str = "",
    json: bool = False,
    load: str = "",
    github: bool = False,
    dry_run: bool = False,
) -> None:
    """Show which secrets a profile needs, where they are looked for, which are there; or load them."""
    from commands import Subprocess
    from errors import Exit, Fault
    from release import config as configuration
    from release import credentials, version_report

    if github and not load:
        raise Fault("what is to be loaded?", cure="--load FOLDER", status=Exit.USAGE)
    config = configuration.load(ROOT, profile or ("production" if load else "rehearsal"))
    natively, runner = credentials.natively(config), Subprocess()
    found = credentials.credentials(config, natively=natively, runner=runner)
    if not load:
        version_report.secrets(config, found, console(), as_json=json)
        return
    folder = credentials.read_folder(Path(load).expanduser().resolve(), found)
    sends = github and not dry_run
    if sends:
        credentials.load_into_github(folder, ROOT, runner)
    version_report.loaded(folder, console(), github=github, sent=sends)


TASKS: tuple[Any, ...] = (doctor, bump, tag, secrets)
