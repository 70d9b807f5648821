"""The log's last lines, for the page: as they stand in the file, and as people read them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.web.overview import Tone

TAIL = 40  # lines
TAIL_BYTES = 64_000
TONES: dict[str, Tone] = {"warning": "warn", "error": "bad", "critical": "bad"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log; `fields` are what else is in it. One that is none of ours is all `text`."""

    text: str
    time: datetime.datetime | None = None
    level: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def tone(self) -> Tone:
        """How the level is shown."""
        return TONES.get(self.level, "calm")


def tail(path: Path) -> list[str]:
    """Give the last lines of a file, each whole; none if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[1 if start else 0 :][-TAIL:]


def entries(lines: Iterable[str]) -> list[Entry]:
    """Read lines as app/server/logs.py writes them; what is not such a line is shown as it is."""
    return [_entry(line) for line in lines]


def _entry(line: str) -> Entry:
    known = _object(line)
    try:
        time = datetime.datetime.fromisoformat(known.pop("time"))
        level, text = str(known.pop("level")), str(known.pop("message"))
    except (KeyError, TypeError, ValueError):
        return Entry(line)
    known.pop("logger", None)
    return Entry(text, time, level, tuple((name, _shown(value)) for name, value in known.items()))


def _object(text: str) -> dict[str, Any]:
    """Decode a JSON object; what is none is empty."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
