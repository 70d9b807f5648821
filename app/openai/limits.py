"""What bounds an answer: stop sequences and length. Said to the model, and cut here if it does not listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.openai.errors import invalid
from app.openai.fields import number, positive
from app.openai.usage import CHARACTERS

MAX_STOPS = 4
LONGEST_STOP = 1000
Ending = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Stop sequences, tokens (None: unbounded) and the sampling that was asked for."""

    stops: tuple[str, ...] = ()
    tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


NO_LIMITS = Limits()


def read_limits(data: Mapping[str, Any], *names: str) -> Limits:
    """Read `stop`, the sampling, and the most tokens from the first of `names` that is given."""
    given = [positive(data, name) for name in names]
    return Limits(
        stops=_stops(data.get("stop")),
        tokens=next((value for value in given if value is not None), None),
        temperature=number(data, "temperature", 0, 2),
        top_p=number(data, "top_p", 0, 1),
    )


def _stops(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else value if isinstance(value, list) else [value]
    if len(stops) > MAX_STOPS or not all(
        isinstance(stop, str) and len(stop) <= LONGEST_STOP for stop in stops
    ):
        raise invalid(f"stop must be a string or an array of up to {MAX_STOPS} strings.", "stop")
    return tuple(stop for stop in stops if stop)


def wishes(limits: Limits) -> list[str]:
    """Say the limits to the model."""
    lines: list[str] = []
    if limits.stops:
        stops = ", ".join(map(_quoted, limits.stops))
        lines.append(f"End the answer right before the first place where it would contain: {stops}.")
    if limits.tokens is not None:
        lines.append(f"The answer must not be longer than {limits.tokens} tokens.")
    if limits.temperature not in (None, 1):
        lines.append(
            f"Answer as with sampling temperature {limits.temperature:g} (0: most likely, 2: wildest)."
        )
    if limits.top_p not in (None, 1):
        lines.append(f"Answer as with nucleus sampling top_p {limits.top_p:g}.")
    return lines


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class Cutter:
    """Lets an answer through piece by piece, up to a stop sequence or the longest it may be.

    What could be the beginning of a stop sequence is held back until it is clear. Tokens are counted as
    `usage` estimates them, since nobody counts them while an answer streams.
    """

    def __init__(self, limits: Limits) -> None:
        self.stops = limits.stops
        self.left = None if limits.tokens is None else limits.tokens * CHARACTERS
        self.ending: Ending | None = None
        self._held = ""

    def feed(self, piece: str) -> str:
        """Give what may go out now; with `ending` set nothing may follow."""
        if self.ending is not None:
            return ""
        if not self.stops:
            return self._bounded(piece)
        text = self._held + piece
        found = [place for place in map(text.find, self.stops) if place >= 0]
        if found:
            self._held = ""
            out = self._bounded(text[: min(found)])
            self.ending = self.ending or "stop"
            return out
        keep = max(self._overlap(text, stop) for stop in self.stops)
        self._held = text[len(text) - keep :]
        return self._bounded(text[: len(text) - keep])

    def rest(self) -> str:
        """Give what was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return self._bounded(held) if self.ending is None else ""

    def _bounded(self, text: str) -> str:
        if self.left is None:
            return text
        if len(text) > self.left:
            text, self.ending = text[: self.left], "length"
        self.left -= len(text)
        return text

    @staticmethod
    def _overlap(text: str, stop: str) -> int:
        """Measure the longest end of `text` that `stop` begins with."""
        longest = min(len(stop) - 1, len(text))
        return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
