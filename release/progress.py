"""The display: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from signing.secrets import mask

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from release.pipeline import Status

_MARK = {"ran": "✓", "skipped": "·"}
TITLE = 37  # characters: no step's title is longer


def seconds_text(seconds: float) -> str:
    """`0.4 s`, `12.3 s`, `2:05 min`."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


class Plain:
    """One line a step, when it ends: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._title = ""
        self._place = ""

    def start(self, title: str, number: int, total: int) -> None:
        """See Display.start."""
        self._title, self._place = title, f"{number:2}/{total}"

    def advance(self, done: int, total: int) -> None:
        """Show nothing: a log has no use for a bar."""

    def finish(self, status: Status, seconds: float, note: str) -> None:
        """See Display.finish."""
        print("".join(self._parts(status, seconds, note)).rstrip(), file=self._stream, flush=True)

    def _parts(self, status: Status, seconds: float, note: str) -> tuple[str, str, str, str, str]:
        """Return a step's line: its place, its mark, its title, the time it took, the note."""
        took = "" if status == "skipped" else seconds_text(seconds)
        mark = _MARK.get(status, " ")
        return f"{self._place} ", mark, f" {self._title:<{TITLE}} ", f"{took:>8}", f"  {mask(note)}"

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Live(Plain):
    """The same lines, with a moving one below for the step that runs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._shown = 0.0

    def __enter__(self) -> Live:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(28), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(file=self._stream), transient=True)
        self._progress.start()
        self._stream = self._progress.console.file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def start(self, title: str, number: int, total: int) -> None:
        """See Display.start."""
        super().start(title, number, total)
        if self._progress is not None:
            self._task = self._progress.add_task(f"{self._place}   {title}", total=None)

    def advance(self, done: int, total: int) -> None:
        """Move the bar, ten times a second at most."""
        now = time.monotonic()
        if (
            self._progress is not None
            and self._task is not None
            and (now - self._shown > 0.1 or done >= total)
        ):
            self._shown = now
            self._progress.update(self._task, completed=done, total=total)

    def finish(self, status: Status, seconds: float, note: str) -> None:
        """See Display.finish."""
        if self._progress is None or self._task is None:
            return super().finish(status, seconds, note)
        from rich.text import Text

        self._progress.remove_task(self._task)
        place, mark, title, took, said = self._parts(status, seconds, note)
        colour = "green" if status == "ran" else "bright_black"
        line = Text.assemble(place, (mark, colour), title, (took, "cyan"), (said, "dim"))
        self._progress.console.print(line, highlight=False)
        return None


def display(stream: TextIO | None = None) -> Plain:
    """The right display for `stream`: live on a terminal, plain lines elsewhere."""
    stream = stream or sys.stdout
    return Live(stream) if stream.isatty() else Plain(stream)
