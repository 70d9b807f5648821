"""Apple's notary: does it know these credentials."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from release.doctor.case import Case
from signing.submission import Notary

ATTEMPTS = 2  # of a request; a release is more patient


def history(case: Case) -> str:
    """Ask for the list of submissions, which only who is known gets. Raises NotaryFault."""
    from signing.notary import NotaryClient

    notary = case.services.notary()
    if isinstance(notary, NotaryClient):
        case.dates.watch(notary.web.session)
        notary.web = replace(notary.web, attempts=ATTEMPTS)
    return known(notary)


def known(notary: Notary) -> str:
    """List the submissions and tell their number by status."""
    found = notary.history()
    counts = Counter(one.status for one in found)
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"known there: {said}" if found else "known there; nothing was submitted yet"
