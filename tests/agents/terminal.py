"""What a program looks like in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import struct
import subprocess
import termios

from rich.console import Console
from rich.text import Text

from tests.agents.desk import PATIENCE, Desk

COLUMNS, ROWS = 92, 40
FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # fonts from elsewhere: the docs fetch nothing
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


def record(desk: Desk, *argv: str) -> str:
    """Run a program in a terminal of its own, to its end; gives all that it wrote there."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**desk.environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    del environment["NO_COLOR"]
    with subprocess.Popen(
        argv,
        cwd=desk.work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        written = _read(ours)
        status = process.wait(PATIENCE)
    assert status == 0, written
    return written


def _read(terminal: int) -> str:
    pieces = []
    with open(terminal, "rb", buffering=0) as stream, contextlib.suppress(OSError):  # its end, on Linux
        while piece := stream.read(65536):
            pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")


def plain(written: str) -> str:
    """What was written without colours and the like."""
    return CONTROLS.sub("", written)


def draw(written: str, title: str) -> str:
    """Draw it as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(written.replace("\r\n", "\n").rstrip()))
    return FACES.sub("", console.export_svg(title=title, unique_id="terminal"))
