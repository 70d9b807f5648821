"""What a program looks like in a terminal, as a picture."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from errors import Fault

ROWS = 40
PATIENCE = 600  # seconds
_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # fonts from elsewhere: the docs fetch nothing
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_WRITTEN = re.compile(rf"{_CONTROLS.pattern}|[\r\n]|[^\r\n\x1b]+")


def record(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    columns: int,
    environment: Mapping[str, str] | None = None,
    statuses: Sequence[int] = (0,),
    patience: float = PATIENCE,
) -> str:
    """Run a program in a terminal of its own, to its end; give all that it wrote there.

    Raises Fault if it ends with another status than one of `statuses`.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    colours = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    given = os.environ if environment is None else environment
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env={**{name: value for name, value in given.items() if name != "NO_COLOR"}, **colours},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        written = _read(ours)
        status = process.wait(patience)
    if status not in statuses:
        raise Fault(f"{argv[0]} ended with status {status}", details=tuple(plain(written).splitlines()[-8:]))
    return written


def _read(terminal: int) -> str:
    pieces = []
    with open(terminal, "rb", buffering=0) as stream, contextlib.suppress(OSError):  # its end, on Linux
        while piece := stream.read(65536):
            pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")


def plain(written: str) -> str:
    """What was written without colours and the like."""
    return _CONTROLS.sub("", written)


def settled(written: str) -> str:
    """What is left on the screen in the end: moving bars draw a line, go up to it and clear it."""
    lines, row = [""], 0
    for piece in _WRITTEN.findall(written):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif found := re.fullmatch(r"\x1b\[(\d*)A", piece):
            row = max(0, row - int(found[1] or 1))
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece != "\r" and (_COLOUR.fullmatch(piece) or not _CONTROLS.fullmatch(piece)):
            lines[row] += piece
    return "\n".join(lines)


def draw(written: str, title: str, columns: int) -> str:
    """Draw it as SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(settled(written).rstrip()))
    drawn = _FACES.sub("", console.export_svg(title=title, unique_id="terminal"))
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"
