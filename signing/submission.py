"""A submission to the notary: what is remembered of it, and what one can ask about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from errors import Exit, Fault
from signing.notary_log import NotaryLog

IN_PROGRESS = "In Progress"
ACCEPTED = "Accepted"
RESUME = "./invoke notarize.resume"
RESUBMIT = "./invoke notarize.resume --resubmit"
AFRESH = f"to submit the same bytes once more: {RESUBMIT}"

Progress = Callable[[int, int], None]


class NotaryFault(Fault):
    """Anything the notary refuses or cannot say."""


class LogPending(NotaryFault):
    """The log of a submission is not there yet, or the submission is not."""

    status = Exit.NOTARY_UNKNOWN


class Receipt(NamedTuple):
    """What a submission leaves to remember: the notary's id and the SHA-256 (hex) of what was sent."""

    id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Submission:
    """One line of the notary's history."""

    id: str
    name: str
    status: str
    created: str


class Notary(Protocol):
    """What a release needs of a notary, whichever way it is reached."""

    def submit(
        self,
        path: Path,
        *,
        name: str | None = None,
        on_created: Callable[[Receipt], None] | None = None,
        on_progress: Progress | None = None,
    ) -> Receipt:
        """Send `path` once. `on_created` hears of the id as soon as it is known, before the bytes are up."""
        ...

    def status(self, id: str) -> str:
        """Return the status as the notary words it."""
        ...

    def log(self, id: str) -> NotaryLog:
        """Return the log; LogPending while there is none."""
        ...

    def history(self) -> list[Submission]:
        """Return the last submissions, newest first as the notary gives them."""
        ...


def age_text(seconds: float) -> str:
    """Return a span of time for people: "12 min", "3 h 05 min", "2 d 4 h"."""
    hours, minutes = divmod(max(0, int(seconds)) // 60, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
