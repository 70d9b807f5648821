"""The public side of a profile, opened to look at it or to change it: what the other tasks work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import Runner, Subprocess
from errors import Exit, Fault
from release import config as configuration
from release.pipeline import lock
from release.places import world
from release.public import PublicSide
from release.services import Services


@contextmanager
def opened(
    root: Path, profile: str = "rehearsal", dist: Path | None = None, *, runner: Runner | None = None
) -> Iterator[PublicSide]:
    """Yield the public side. A rehearsal's is in `dist` (default: the checkout's), one process at a time.

    Raises Fault LOCKED while a release runs in this checkout, PUBLISH if nothing was rehearsed here yet.
    """
    config = configuration.load(root, profile)
    home = world(config, dist)
    if config.rehearsal and not (home.rehearsal / "bucket").is_dir():
        raise Fault(
            "nothing has been published in this checkout yet",
            where=home.rehearsal,
            cure="./invoke release rehearses; --profile production looks at the real thing",
            status=Exit.PUBLISH,
        )
    with lock(home.dist), Services(config, home, runner or Subprocess(), 0) as services:
        yield services.public_side
