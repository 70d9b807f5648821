"""What is public, and how to change it: tasks of the top level, which tasks.py takes from TASKS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from release.tasks.common import ROOT, console, guarded


@task(
    help={
        "profile": "rehearsal or production: whose site, key and certificate",
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
) -> None:
    """Check what is public as a stranger would: every download, signature, page and promise."""
    import json as writer

    from commands import Subprocess
    from release.verify import command, report

    wish = command.Wish(profile, url, key, hosts, Path(keep).resolve() if keep else None)
    found = command.verify(ROOT, wish, Subprocess())
    if json:
        console().print_json(writer.dumps(found.as_json()), highlight=False)
    else:
        report.show(found, console())
    found.require()


TASKS: tuple[Any, ...] = (verify,)
