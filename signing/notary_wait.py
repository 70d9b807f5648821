"""Waiting for the notary, and judging what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from errors import Exit, Fault
from signing.clock import Clock, SystemClock, backoff
from signing.notary_cures import cure_for
from signing.notary_log import NotaryLog
from signing.submission import (
    ACCEPTED,
    AFRESH,
    IN_PROGRESS,
    RESUBMIT,
    RESUME,
    LogPending,
    Notary,
    NotaryFault,
    age_text,
)

# Most submissions are judged within minutes. Some stay "In Progress" for hours or for ever, while the same
# bytes sent once more are judged at once; there is no way to withdraw one.
STUCK = 2 * 3600.0


def wait(
    notary: Notary,
    id: str,
    *,
    timeout: float,
    clock: Clock | None = None,
    sha256: str | None = None,
    first: float = 5.0,
    limit: float = 60.0,
    patience: float = 300.0,
    on_status: Callable[[str], None] | None = None,
    submitted: float | None = None,
) -> NotaryLog:
    """Ask until the notary has decided, with pauses from `first` to `limit` seconds; return an accepting log.

    `timeout` and `patience` are seconds: how long to wait in all, and how long to bear a notary that does
    not answer. `sha256` is what the log must be about, `submitted` when it was sent (seconds since 1970).
    Faults: NOTARY_INVALID and NOTARY_REJECTED with the log's issues in `details`, NOTARY_UNKNOWN,
    NOTARY_TIMEOUT, NOTARY_AUTH, NETWORK. After any of the last three the submission lives on and waiting can
    be taken up again by id.
    """
    clock = clock or SystemClock()
    asking = _Asking(notary, id, clock, clock.now() if submitted is None else submitted)
    status = _settled(asking, timeout, backoff(first, limit, factor=1.5), patience, on_status)
    log = _final_log(notary, id, status, clock, first)
    return judge(id, status, log, sha256)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Whom to ask about which submission, and since when it is there."""

    notary: Notary
    id: str
    clock: Clock
    submitted: float


def _settled(
    asking: _Asking,
    timeout: float,
    pauses: Iterator[float],
    patience: float,
    on_status: Callable[[str], None] | None,
) -> str:
    """Return the first status that is not "In Progress"; one nobody knows must be heard twice."""
    clock = asking.clock
    start = heard = clock.now()
    strange = ""
    for pause in pauses:
        status = _ask(asking.notary, asking.id, give_up=clock.now() - heard >= patience)
        if status is not None:
            heard = clock.now()
        if on_status:
            on_status(status or "no answer")
        if status in VERDICTS or (status and status == strange):
            return status
        strange = status if status and status != IN_PROGRESS else strange
        left = start + timeout - clock.now()
        if left <= 0:
            raise _late(asking, timeout, status)
        clock.sleep(min(pause, left))
    raise AssertionError("backoff never ends")


def _ask(notary: Notary, id: str, *, give_up: bool) -> str | None:
    """Return the status, or None when the network fails and there is patience left."""
    try:
        return notary.status(id)
    except Fault as fault:
        if fault.status is not Exit.NETWORK:
            raise
        if not give_up:
            return None
        raise NotaryFault(
            f"the notary cannot be reached: {fault.what}",
            where=fault.where,
            cure=f"submission {id} lives on: {RESUME}",
            status=Exit.NETWORK,
        ) from fault


def _late(asking: _Asking, timeout: float, status: str | None) -> NotaryFault:
    age = asking.clock.now() - asking.submitted
    since = f", {age_text(age)} after it was sent" if age > timeout + 60 else ""
    heard = f"(last heard: {status or 'no answer'})"
    return NotaryFault(
        f"submission {asking.id} is undecided after {timeout:g} s{since} {heard}",
        cure=undecided_cure(age),
        status=Exit.NOTARY_TIMEOUT,
    )


def undecided_cure(age: float) -> str:
    """Return what to do about a submission that has been undecided for `age` seconds."""
    if age < STUCK:
        return f"go on waiting later with {RESUME}; the submission is kept, do not send it again"
    return (
        f"it seems stuck: most are judged within minutes, and the same bytes sent once more mostly are, too. "
        f"{RESUBMIT} does that, which nothing does by itself; {RESUME} goes on waiting for this one"
    )


def _final_log(notary: Notary, id: str, status: str, clock: Clock, first: float) -> NotaryLog | None:
    """Return the log of a decided submission, which may lag behind the verdict; None if it stays away."""
    for pause in (first, 2 * first, 4 * first, 0.0):
        try:
            return notary.log(id)
        except LogPending:
            clock.sleep(pause)
        except Fault as fault:
            if fault.status is not Exit.NETWORK or status != ACCEPTED:
                raise
            return None
    return None


def judge(id: str, status: str, log: NotaryLog | None, sha256: str | None) -> NotaryLog:
    """Return the log of an accepted submission; raise the fault that fits any other status."""
    if log is not None and sha256 and log.sha256 and log.sha256 != sha256:
        raise NotaryFault(
            f"submission {id} is about other bytes",
            details=(f"sent:   {sha256}", f"judged: {log.sha256}"),
            cure=AFRESH,
            status=Exit.NOTARY_INVALID,
        )
    if status == ACCEPTED:
        return log or NotaryLog(job_id=id, status=status, summary="accepted; the log is not available")
    what, exit_status, cure = VERDICTS.get(status, UNKNOWN)
    raise NotaryFault(
        f"submission {id}: {what.format(status=status)}",
        details=_findings(log) if log else ("its log is not available",),
        cure=cure,
        status=exit_status,
    )


def _findings(log: NotaryLog) -> tuple[str, ...]:
    """Return the log as lines: its summary, then every issue with its file and what to do about it."""
    code = f" (status code {log.code})" if log.code else ""
    summary = (f"{log.summary}{code}",) if log.summary else ()
    cure = cure_for(log.summary)
    issues = tuple(line for issue in log.issues for line in issue.lines)
    return (*summary, *((f"  → {cure}",) if cure else ()), *issues)


VERDICTS = {
    ACCEPTED: ("accepted", Exit.OK, ""),
    "Invalid": (
        "the notary says Invalid: it found errors",
        Exit.NOTARY_INVALID,
        "correct what is named above and run ./invoke release again: changed bytes are a new submission",
    ),
    "Rejected": (
        "the notary says Rejected, without examining it",
        Exit.NOTARY_REJECTED,
        "read the log; a rejection is mostly about the account: https://developer.apple.com/account",
    ),
}
UNKNOWN = (
    "the notary answers with a status nobody here knows: {status!r}",
    Exit.NOTARY_UNKNOWN,
    f"ask again with {RESUME}; if it stays, Apple has added a status this project should learn",
)
