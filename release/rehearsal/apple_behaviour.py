"""How the stand-in for Apple misbehaves, when a test or a rehearsal asks for it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, fields

from errors import Exit, Fault


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The script of a rehearsal's Apple. Counts are "the first so many, then as usual"."""

    polls: int = 1  # status requests answered "In Progress" once the upload is there
    verdict: str = ""  # this status instead of the review's; "In Progress" means for ever
    agreement: bool = False  # an agreement waits to be signed: every notary request gets 403
    errors: int = 0  # notary requests answered 503
    cuts: int = 0  # notary requests cut without an answer
    upload_errors: int = 0
    upload_cuts: int = 0
    log_lag: int = 0  # log requests answered 404 after the verdict
    ticket_lag: int = 0  # look-ups of a known ticket answered NOT_FOUND
    ticket_errors: int = 0  # look-ups answered 503
    timestamp_errors: int = 0

    @classmethod
    def parse(cls, text: str) -> Behaviour:
        """Read "name=value,name=value"; Fault USAGE names a word that is not understood and what is."""
        known = {field.name: field.default for field in fields(cls)}
        values: dict[str, object] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = part.partition("=")
            try:
                values[name] = _value(known[name], value)
            except (KeyError, ValueError) as error:
                raise Fault(
                    f"the rehearsal's Apple does not understand {part!r}",
                    cure=f"name=value, of: {', '.join(sorted(known))}",
                    status=Exit.USAGE,
                ) from error
        return cls(**values)  # type: ignore[arg-type]


def _value(default: object, text: str) -> object:
    if isinstance(default, bool):
        return {"": True, "true": True, "false": False}[text]
    return int(text) if isinstance(default, int) else text


class Counts:
    """Counts events by name, safely from many threads."""

    def __init__(self) -> None:
        """Start all counts at nought."""
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()

    def among_first(self, name: str, limit: int) -> bool:
        """Count an event; tell whether it is still one of the first `limit`."""
        with self._lock:
            self._seen[name] += 1
            return self._seen[name] <= limit
