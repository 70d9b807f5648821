"""`./invoke smoke`: try the packaged server of a finished release against a stand-in for Cursor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from commands import Subprocess
from errors import Exit, Fault
from release.bridge import bun
from release.bundle.smoke import SmokeReport, smoke

if TYPE_CHECKING:
    from rich.console import Console

STAND_IN = "tests.standins.cursor"


def try_app(root: Path, app: Path | None) -> SmokeReport:
    """Boot `app`, by default that of the last release, and use it. Fault SMOKE if there is none."""
    app = app or _last(root)
    with cursor_stand_in(root) as url:
        return smoke(app, bun=bun(root, Subprocess()), cursor_url=url, source=root)


def show(report: SmokeReport, console: Console) -> None:
    """Print one line for each thing tried, and how it was tried."""
    for row in report.rows:
        mark = "[green]✓[/]" if row.ok else "[red]✗[/]"
        console.print(f"{mark} {row.name}: {row.detail}", highlight=False)
    how = "its own executable" if report.native else "its byte code under this machine's Python and Bun"
    console.print(f"[dim]ran {how}; Cursor was a stand-in[/]", highlight=False)


@contextmanager
def cursor_stand_in(root: Path) -> Iterator[str]:
    """Serve the tests' stand-in for Cursor's backend from a process of its own; give its address."""
    argv = [sys.executable, "-m", STAND_IN, "--port", "0"]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise Fault("the stand-in for Cursor did not start", where=STAND_IN, status=Exit.SMOKE)
            yield url
        finally:
            process.terminate()


def _last(root: Path) -> Path:
    found = sorted((root / "dist" / "current").glob("*.app"))
    if not found:
        raise Fault("there is no finished release here", cure="./invoke release first", status=Exit.SMOKE)
    return found[0]
