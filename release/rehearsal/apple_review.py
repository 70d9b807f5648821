"""What a review of an upload says. The review itself stands in apple_examine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from signing.notary_log import Issue, TicketContent


@dataclass(frozen=True, slots=True)
class Review:
    """Findings, and the code that a ticket would vouch for; any finding of severity "error" refuses all."""

    issues: tuple[Issue, ...] = ()
    contents: tuple[TicketContent, ...] = ()

    @property
    def accepted(self) -> bool:
        """Tell whether nothing speaks against a ticket."""
        return all(issue.severity != "error" for issue in self.issues)


class Reviewer(Protocol):
    """Looks at an uploaded archive as the notary does."""

    def review(self, upload: Path, name: str) -> Review:
        """Examine `upload`, which the submitter calls `name`."""
        ...
