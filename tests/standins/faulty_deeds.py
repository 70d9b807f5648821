"""What maintainers do to the public side, for processes that are killed while they do it.

Each deed may be repeated until it is done. `CONTEXT` forks from a process that has everything imported.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appcast.feed import FeedFault
from errors import Fault
from release import rollback, rollout, yank
from release.publish import publish
from release.store import S3Store
from tests.standins.public import publication, side

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Access:
    """A bucket, as a process needs it to get there."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str

    def store(self) -> S3Store:
        """A store with two threads: small images need no more."""
        return S3Store(
            endpoint=self.endpoint,
            bucket=self.name,
            access_key=self.access_key,
            secret_key=self.secret_key,
            threads=2,
        )


def _publish(store: S3Store, folder: Path) -> None:
    publish(side(store), publication(folder, "3"))


def _yank(store: S3Store, folder: Path) -> None:
    public = side(store)
    yank.yank(public, yank.plan(public, "2"))


def _roll_back(store: S3Store, folder: Path) -> None:
    public = side(store)
    rollback.roll_back(public, rollback.plan(public, "1"))


def _complete(store: S3Store, folder: Path) -> None:
    public = side(store)
    try:
        wanted = rollout.plan(public, "complete", "2")
    except FeedFault as fault:
        if "has reached all" not in fault.what:  # else that is done
            raise
    else:
        rollout.turn(public, wanted)


DEEDS: Final[dict[str, Callable[[S3Store, Path], None]]] = {
    "publish": _publish,
    "yank": _yank,
    "rollback": _roll_back,
    "rollout": _complete,
}


def run(deed: str, access: Access, folder: Path) -> None:
    """Do it, in a process of its own: ends with the Fault's status, its text on stderr."""
    try:
        DEEDS[deed](access.store(), folder)
    except Fault as fault:
        os.write(2, f"{fault}\n".encode())
        sys.exit(int(fault.status))


def _warm() -> None:
    """Import now what a store imports late, so that every fork has it."""
    from release import s3

    s3.client("http://127.0.0.1:1", "warm", "warm")


if __name__ != "__main__":
    _warm()
