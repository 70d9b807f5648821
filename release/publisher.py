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
    """Who. `run` is the address of the workflow's run, `commit` 40 hex digits, `tag` the one on it.

    The address `email` is for the bucket's own notes, which only maintainers see.
    """

    name: str
    email: str | None = None
    run: str | None = None
    commit: str | None = None
    tag: str | None = None
    rehearsal: bool = False

    @property
    def who(self) -> str:
        """Name and address."""
        return f"{self.name} <{self.email}>" if self.email else self.name

    def note(self, action: Deed, release: str, at: datetime) -> dict[str, str]:
        """Return the metadata of a feed: who did what with which release (version-build), and when."""
        noted = {"publisher": self.who, "action": action, "release": release, "at": at.isoformat()}
        noted["tool"] = f"invoke at {self.commit[:12]}" if self.commit else "invoke"
        return noted | ({"run": self.run} if self.run else {})


def publisher(runner: Runner, root: Path, environ: Mapping[str, str], *, rehearsal: bool) -> Publisher:
    """Tell who is at work: GitHub Actions' actor, else git's user, else the login name."""
    run = email = None
    if environ.get("GITHUB_ACTIONS") == "true":
        name = f"{environ.get('GITHUB_ACTOR', 'unknown')} (GitHub Actions)"
        place = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        run = "{}/{}/actions/runs/{}".format(*place)
    else:
        name = _git(runner, root, "config", "user.name") or _login()
        email = _git(runner, root, "config", "user.email")
    head = _git(runner, root, "rev-parse", "HEAD")
    tag = _git(runner, root, "describe", "--tags", "--exact-match", "--match", "v[0-9]*")
    return Publisher(f"{name} (rehearsal)" if rehearsal else name, email, run, head, tag, rehearsal)


def tools() -> dict[str, str]:
    """Return the versions of what makes and publishes a release."""
    names = ("boto3", "dmgbuild", "lxml", "py2app", "cryptography")
    return {"python": python_version(), **{name: package_version(name) for name in names}}


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
