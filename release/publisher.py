"""Who changes what is public: noted with every feed and manifest, so that the bucket alone can tell."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as package_version
from pathlib import Path
from platform import python_version
from typing import Literal

from commands import Runner
from errors import Fault

Deed = Literal["publish", "rollback", "yank", "pause", "resume", "complete"]


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who. `run` is the address of the workflow's run, `commit` 40 hex digits, `tag` the one on it."""

    who: str
    run: str | None = None
    commit: str | None = None
    tag: str | None = None
    rehearsal: bool = False

    def note(self, action: Deed, release: str, at: datetime) -> dict[str, str]:
        """Return the metadata of a feed: who did what with which release (version-build), and when."""
        noted = {"publisher": self.who, "action": action, "release": release, "at": at.isoformat()}
        noted["tool"] = f"invoke at {self.commit[:12]}" if self.commit else "invoke"
        return noted | ({"run": self.run} if self.run else {})


def publisher(runner: Runner, root: Path, environ: Mapping[str, str], *, rehearsal: bool) -> Publisher:
    """Tell who is at work: GitHub Actions' actor, else git's user, else the login name."""
    run = None
    if environ.get("GITHUB_ACTIONS") == "true":
        who = f"{environ.get('GITHUB_ACTOR', 'unknown')} (GitHub Actions)"
        place = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        run = "{}/{}/actions/runs/{}".format(*place)
    else:
        who = _git_user(runner, root) or _login()
    head = _git(runner, root, "rev-parse", "HEAD")
    tag = _git(runner, root, "describe", "--tags", "--exact-match", "--match", "v[0-9]*")
    return Publisher(f"{who} (rehearsal)" if rehearsal else who, run, head, tag, rehearsal)


def tools() -> dict[str, str]:
    """Return the versions of what makes and publishes a release."""
    names = ("boto3", "dmgbuild", "lxml", "py2app", "cryptography")
    return {"python": python_version(), **{name: package_version(name) for name in names}}


def _git_user(runner: Runner, root: Path) -> str | None:
    name, email = (_git(runner, root, "config", key) for key in ("user.name", "user.email"))
    if name and email:
        return f"{name} <{email}>"
    return name or email


def _git(runner: Runner, root: Path, *words: str) -> str | None:
    try:
        result = runner.run(["git", "-C", root, *words], check=False)
    except Fault:  # no git here: the rest is known without it
        return None
    return result.stdout.decode("utf-8", "replace").strip() or None if result.status == 0 else None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
