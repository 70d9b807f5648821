"""What the user chose, in one JSON file that people may edit too.

Every field has a default, so a file need not have it. What this version does not know stays in the file; what
it cannot use is reported and left out, and a file that is no JSON at all is set aside, never lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from app.errors import AppError
from app.files import LARGEST, cannot, locked, make_private, write_private

FILE = "settings.json"
DEFAULT_PORT = 8787
AFTER_RESTART = frozenset({"port", "keep_logs"})
"""The preferences that a running server takes up only when it is started again."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
LogLevel = Literal["debug", "info", "warning", "error"]
Channel = Literal["stable", "beta"]


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """The user's choices, each with its default.

    `origins` are web origins let in besides the app's own; `keep_logs` counts older log files; `channel` is
    the kind of updates wanted; `setup` says if the first steps were "done" or put off ("dismissed").
    """

    port: Port = DEFAULT_PORT
    launch_at_login: bool = False
    menu_bar_only: bool = False
    origins: tuple[str, ...] = ()
    responses_tools: bool = False
    log_level: LogLevel = "info"
    keep_logs: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    check_for_updates: bool = True
    channel: Channel = "stable"
    setup: Literal["new", "dismissed", "done"] = "new"


NAMES = Preferences.__struct_fields__
# Editors' and browser extensions' own schemes have origins as well.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The preferences in the file. `stored` names those that are there; `problems` are for people."""

    preferences: Preferences = Preferences()  # noqa: RUF009 - frozen
    stored: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """The settings file at `path`."""

    path: Path

    def load(self) -> Loaded:
        """Read the file; none is as good as an empty one. A broken one is set aside."""
        try:
            raw, problems = self._read()
        except OSError as error:
            return Loaded(problems=(f"{self.path} cannot be read ({error.strerror}); the defaults are used",))
        good, bad = _sort_out(raw)
        problems += tuple(f"{name} in {self.path} is not used: {why}" for name, why in bad.items())
        return Loaded(msgspec.convert(good, Preferences), frozenset(good), problems)

    def change(self, changes: Mapping[str, Any]) -> Preferences:
        """Put `changes` into the file and leave the rest as it is; None takes a choice back.

        Raises AppError naming what cannot be, before anything is written.
        """
        check(changes)
        try:
            make_private(self.path.parent)
        except OSError as error:
            raise cannot("make", self.path.parent, error) from error
        with locked(self.path.with_name(f".{FILE}.lock")):
            raw = self._read_to_change()
            raw |= {name: value for name, value in changes.items() if value is not None}
            for name in (name for name, value in changes.items() if value is None):
                raw.pop(name, None)
            write_private(self.path, msgspec.json.format(msgspec.json.encode(raw), indent=2) + b"\n")
        good, _ = _sort_out(raw)
        return msgspec.convert(good, Preferences)

    def _read_to_change(self) -> dict[str, Any]:
        try:
            return self._read()[0]
        except OSError as error:
            raise cannot("read", self.path, error) from error

    def _read(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        try:
            with self.path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}, ()
        try:
            if len(data) > LARGEST:
                raise ValueError(f"it is longer than {LARGEST} bytes")
            return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf") or b"{}", type=dict[str, Any]), ()
        except ValueError as error:  # msgspec's errors and UnicodeDecodeError are ones
            return {}, (self._set_aside(error),)

    def _set_aside(self, why: ValueError) -> str:
        aside = self.path.with_name(f"{self.path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        number = 1
        while aside.exists():
            number += 1
            aside = aside.with_name(f"{aside.name.partition('~')[0]}~{number}")
        with contextlib.suppress(OSError):
            os.rename(self.path, aside)  # noqa: PTH104 - a link is set aside as the link it is
            return f"{self.path} could not be understood ({why}); it is kept as {aside.name}"
        return f"{self.path} could not be understood ({why}); the defaults are used"


def check(changes: Mapping[str, Any]) -> None:
    """Refuse what is no preference, or no value for one. Raises AppError naming the first."""
    for name in changes:
        if name not in NAMES:
            raise AppError(f"there is no setting {name!r}", cure=f"there are {', '.join(NAMES)}")
    _, bad = _sort_out({name: value for name, value in changes.items() if value is not None})
    for name, why in bad.items():
        raise AppError(f"{name} cannot be {_shown(changes[name])}", cure=why)


def _shown(value: Any) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, list | tuple) else repr(value)


def origin(text: str) -> str:
    """Give a web origin in the form that browsers send it. Raises ValueError."""
    found = _ORIGIN.fullmatch(text.strip().removesuffix("/"))
    if found is not None and found["scheme"].lower() != "file":
        return found[0].lower()
    raise ValueError(f"{text!r} is not a web origin such as https://example.com")


def _sort_out(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part `raw` into fields that can be used, and why others cannot; unknown ones are neither."""
    good: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for name in (name for name in NAMES if name in raw):
        try:
            msgspec.convert({name: raw[name]}, Preferences)
            good[name] = raw[name] if name != "origins" else [origin(one) for one in raw[name]]
        except ValueError as error:
            bad[name] = str(error).partition(" - at `")[0].replace("`", "").replace("Expected", "expected")
    return good, bad
