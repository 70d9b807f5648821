"""Stapling with Apple's own `xcrun stapler`, on a Mac.

It asks Apple's ticket database itself and tells by its exit status why it failed: 65, there is no ticket
(yet); 68, the database was not reached. Both pass, so both are tried again with growing pauses.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from commands import Result, Runner
from errors import Exit, Fault
from signing.clock import Clock, SystemClock
from signing.ticket import LAG, TicketFault

NO_TICKET, UNREACHED = 65, 68


def staple(
    src: Path, dst: Path, *, runner: Runner, clock: Clock | None = None, lag: Sequence[float] = LAG
) -> None:
    """Write to `dst` the disk image or app `src` with its ticket; `dst` appears whole or not at all.

    `lag`: pauses in seconds between attempts. Faults: TICKET, NETWORK, TOOL without Xcode's tools, DISK.
    """
    try:
        folder = Path(tempfile.mkdtemp(dir=dst.parent, prefix=".staple-"))
        try:
            copy = folder / dst.name  # stapler goes by the suffix
            _copy(src, copy)
            _staple(copy, runner, clock or SystemClock(), lag)
            if dst.is_dir():
                dst.rename(folder / "replaced")
            copy.replace(dst)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise Fault(
            f"cannot write: {error.strerror or error}", where=dst, cure="make room", status=Exit.DISK
        ) from error


def _copy(src: Path, dst: Path) -> None:
    if src.is_dir():
        shutil.copytree(src, dst, symlinks=True)
    else:
        shutil.copy2(src, dst)


def _staple(path: Path, runner: Runner, clock: Clock, lag: Sequence[float]) -> None:
    for pause in (*lag, None):
        result = runner.run(["xcrun", "stapler", "staple", path], check=False)
        if not result.status:
            return
        if pause is None or result.status not in (NO_TICKET, UNREACHED):
            raise _failure(path, result)
        clock.sleep(pause)


def _failure(path: Path, result: Result) -> Fault:
    what = {
        NO_TICKET: "there is no ticket for it yet",
        UNREACHED: "Apple's ticket database was not reached",
    }.get(result.status, f"stapler ended with status {result.status}")
    return TicketFault(
        what,
        where=path.name,
        details=result.tail(6),
        cure="run ./invoke notarize.resume in some minutes",
        status=Exit.NETWORK if result.status == UNREACHED else None,
    )
