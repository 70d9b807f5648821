"""What every task shares."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit as Stop

from errors import PENDING_STATUSES, Exit, Fault

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]


def guarded(body: Callable[..., None]) -> Callable[..., None]:
    """Print a Fault as one message and end with its status; let real bugs show their traceback."""

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> None:
        from signing.secrets import mask

        try:
            body(*args, **kwargs)
        except Fault as fault:
            raise Stop(
                mask(f"{'…' if fault.status in PENDING_STATUSES else '✗'} {fault}"), code=fault.status
            ) from None
        except KeyboardInterrupt:
            raise Stop("stopped; the next run goes on from here", code=Exit.INTERRUPTED) from None

    return run


@contextmanager
def told(accept_pending: bool) -> Iterator[None]:
    """Put what stops a release into the job's summary; with `accept_pending`, to wait is no failure."""
    from release import summary
    from signing.secrets import mask

    try:
        yield
    except Fault as fault:
        summary.failed(fault, os.environ)
        if accept_pending and fault.status in PENDING_STATUSES:
            raise Stop(mask(f"… {fault}"), code=Exit.OK) from None
        raise


def console() -> Console:
    """Return a console that is wide enough for digests when the output is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def pairs(values: list[str] | None) -> dict[str, str]:
    """Read repeated `--set key=value`; raises Fault USAGE."""
    split = [value.partition("=") for value in values or ()]
    if bad := [key for key, equals, _ in split if not equals]:
        raise Fault(f"--set {bad[0]} has no value", cure="--set key=value", status=Exit.USAGE)
    return {key: value for key, _, value in split}


def place(text: str) -> Path | None:
    """Return an option's path, absolute; None if it was left out."""
    return Path(text).resolve() if text else None


def whole(text: str, option: str) -> int:
    """Read an option's number; raises Fault USAGE. Invoke itself would end in a traceback."""
    if not text.removeprefix("-").isdecimal():
        raise Fault(f"{option} {text} is no number", cure=f"{option} 10", status=Exit.USAGE)
    return int(text)


def python(*words: str) -> None:
    """Run a module of the environment's Python with its output shown; end with its status if it fails."""
    import subprocess

    status = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode
    if status:
        raise Stop(code=status)
