"""The log: one JSON object a line, rotated, readable by this user only; neither keys nor prompts in it."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

FILE = "server.log"
MAX_BYTES = 2_000_000
KEPT = 5
LONGEST = 2000  # characters of a message
_encoder = msgspec.json.Encoder()
requests = logging.getLogger("app.requests")


def log_request(fields: dict[str, Any]) -> None:
    """Log a request that is over; without the search for who calls, which costs more than all the rest."""
    if requests.isEnabledFor(logging.INFO):
        record = logging.LogRecord(requests.name, logging.INFO, "", 0, "request", None, None)
        record.fields = fields
        requests.handle(record)


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class Lines(logging.Formatter):
    """Formats records as JSON lines, with what is in `hidden` masked.

    An exception is logged as its type and where, without its message, which may quote what a user wrote.
    """

    def __init__(self, hidden: Collection[str] = ()) -> None:
        super().__init__()
        self.hidden = hidden

    def format(self, record: logging.LogRecord) -> str:
        """Give one line."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:LONGEST],
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line |= {"exception": record.exc_info[0].__name__, "at": _frames(record.exc_info[2])}
        return self._masked(_encoder.encode(line).decode())

    def _time(self, seconds: float) -> str:
        return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"

    def _masked(self, text: str) -> str:
        for secret in self.hidden:
            text = text.replace(secret, "***")
        return text


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-8:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


class _Plain(logging.Formatter):
    """Formats records for a terminal; as in the file, an exception's message is left out."""

    def formatException(self, ei: Any) -> str:
        """Give the exception's type and where it was raised."""
        return f"{ei[0].__name__} at {', '.join(_frames(ei[2]))}"


def warn_on_stderr() -> None:
    """Show warnings and errors to whoever started the server."""
    logging.basicConfig(handlers=[logging.StreamHandler()])
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.WARNING)
        handler.setFormatter(_Plain("%(levelname)s %(name)s: %(message)s"))


class _Private(RotatingFileHandler):
    """Opens its files for this user only, and counts what it writes instead of asking the disk each time.

    Lines go to the system whole and at once. Where the disk is full they are lost: the server goes on.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, to a new file if this one would become too long."""
        try:
            line = f"{self.format(record)}\n".encode()
            if self._written + len(line) > self.maxBytes:
                self.doRollover()
            file: Any = self.stream or self._open()
            self.stream = file
            self._written += file.write(line)
        except OSError:
            return
        except Exception:  # as every handler does
            self.handleError(record)

    def _open(self) -> Any:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        stream = open(self.baseFilename, "ab", buffering=0, opener=opener)  # noqa: SIM115
        self._written = stream.tell()
        return stream


def log_from(level: str) -> None:
    """Log the app's records of `level` (debug, info, warning, error) and above."""
    logging.getLogger("app").setLevel(level.upper())


@contextmanager
def logging_to(
    folder: Path, *, hidden: Collection[str] = (), level: str = "info", kept: int = KEPT
) -> Iterator[Path | None]:
    """Log the app's records to a file in `folder` while the block runs; None if it cannot be written.

    `hidden` may grow meanwhile; `kept` older files stay.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _Private(folder / FILE, maxBytes=MAX_BYTES, backupCount=kept)
    except OSError:
        yield None  # a server without a log is of more use than none
        return
    handler.setFormatter(Lines(hidden))
    root, own = logging.getLogger(), logging.getLogger("app")
    before = own.level
    log_from(level)
    root.addHandler(handler)
    try:
        yield folder / FILE
    finally:
        root.removeHandler(handler)
        own.setLevel(before)
        handler.close()
