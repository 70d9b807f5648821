"""The notary's report on a submission: what it vouches for and what it found fault with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from signing.notary_cures import cure_for


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding of the notary about one file inside the archive."""

    severity: str
    path: str
    message: str
    architecture: str | None = None
    code: int | None = None
    doc_url: str | None = None

    @property
    def text(self) -> str:
        """One line: severity, path with architecture, message, where to read on."""
        place = f"{self.path} ({self.architecture})" if self.architecture else self.path
        return f"{self.severity}: {place}: {self.message}" + (f" See {self.doc_url}" if self.doc_url else "")

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person reads: the finding, and below it what to do about it where that is known."""
        cure = cure_for(self.message)
        return (self.text, f"  → {cure}") if cure else (self.text,)


@dataclass(frozen=True, slots=True)
class TicketContent:
    """One piece of code that a ticket vouches for."""

    path: str
    cdhash: str
    digest_algorithm: str = "SHA-256"
    arch: str | None = None


@dataclass(frozen=True, slots=True)
class NotaryLog:
    """The notary's report on one finished submission."""

    job_id: str
    status: str
    summary: str = ""
    code: int | None = None
    archive: str = ""
    uploaded: str = ""
    sha256: str = ""
    contents: tuple[TicketContent, ...] = ()
    issues: tuple[Issue, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def parse_log(data: Mapping[str, Any]) -> NotaryLog:
    """Read a notary log. Absent or null members become empty: Apple leaves out what does not apply."""
    return NotaryLog(
        job_id=str(data.get("jobId") or ""),
        status=str(data.get("status") or ""),
        summary=str(data.get("statusSummary") or ""),
        code=data.get("statusCode"),
        archive=str(data.get("archiveFilename") or ""),
        uploaded=str(data.get("uploadDate") or ""),
        sha256=str(data.get("sha256") or ""),
        contents=tuple(_content(item) for item in _objects(data.get("ticketContents"))),
        issues=tuple(_issue(item) for item in _objects(data.get("issues"))),
        raw=data,
    )


def _objects(value: object) -> list[Mapping[str, Any]]:
    """Return a list's objects; what is none becomes one with a message, so that no finding is lost."""
    items = value if isinstance(value, list) else [value] if value else []
    return [item if isinstance(item, dict) else {"message": str(item)} for item in items]


def _content(item: Mapping[str, Any]) -> TicketContent:
    return TicketContent(
        str(item.get("path") or ""),
        str(item.get("cdhash") or ""),
        str(item.get("digestAlgorithm") or ""),
        item.get("arch"),
    )


def _issue(item: Mapping[str, Any]) -> Issue:
    return Issue(
        str(item.get("severity") or "error"),
        str(item.get("path") or ""),
        str(item.get("message") or ""),
        item.get("architecture"),
        item.get("code"),
        item.get("docUrl"),
    )
