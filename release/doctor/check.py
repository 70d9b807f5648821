"""What a check is, and how many of them are made: all, whatever any of them finds.

A check returns what it found, a `Warn` for what will be wrong before long, or raises what is wrong: a Fault,
with its cure and exit status, or `NotChecked`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from errors import Exit, Fault
from signing.secrets import mask

LIMIT = 30.0  # seconds that one check may take

Phase = Literal["here", "asks", "after"]
"""`here` looks at this machine, in order; `asks` somebody else, side by side; `after` all of those."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Fine now, with something to do soon."""

    detail: str
    cure: str


class NotChecked(Exception):
    """This can't be told here; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `wants` are the secrets (dotted keys of release.toml) that it can't be made without."""

    group: str
    name: str
    make: Callable[[], str | Warn]
    phase: Phase = "here"
    wants: tuple[str, ...] = ()
    limit: float = LIMIT


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check. `ok` is None for what was not checked; a cure beside True is a warning."""

    group: str
    name: str
    ok: bool | None
    detail: str
    cure: str = ""
    status: Exit = Exit.OK
    fault: Fault | None = field(default=None, compare=False, repr=False)

    @property
    def warns(self) -> bool:
        """Whether it is fine now and something is to be done soon."""
        return self.ok is True and bool(self.cure)

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.group}, {self.name}: {self.detail}" + (f" → {self.cure}" if self.cure else "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor found, in the order of the checks."""

    profile: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(one for one in self.findings if one.ok is False)

    @property
    def skipped(self) -> tuple[Finding, ...]:
        """What was not checked."""
        return tuple(one for one in self.findings if one.ok is None)

    @property
    def status(self) -> Exit:
        """That of the first failure; OK without one."""
        return next((one.status for one in self.failed), Exit.OK)

    def require(self) -> Diagnosis:
        """Return itself, or raise a Fault that names all failures, with the status of the first."""
        failed = self.failed
        if not failed:
            return self
        if len(failed) == 1 and failed[0].fault is not None:
            raise failed[0].fault
        raise Fault(
            f"not ready: {len(failed)} checks failed",
            details=tuple(one.line for one in failed),
            cure=f"./invoke doctor --profile {self.profile} makes them again",
            status=self.status,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values; docs/release.md describes them."""
        rows = [
            {name: value for name, value in asdict(one).items() if name != "fault"} for one in self.findings
        ]
        return {"profile": self.profile, "ok": not self.failed, "status": int(self.status), "checks": rows}


def examine(checks: Sequence[Check], missing: Collection[str] = ()) -> tuple[Finding, ...]:
    """Make every check; return what came of each, in their order.

    `missing` are the secrets that are not there: what wants them is not checked, and says so.
    """
    found: dict[int, Finding] = {}
    phases: tuple[Phase, ...] = ("here", "asks", "after")
    for phase in phases:
        mine = [(at, check) for at, check in enumerate(checks) if check.phase == phase]
        for some in [mine] if phase == "asks" else [[one] for one in mine]:
            found |= _side_by_side(some, missing)
    return tuple(found[at] for at in range(len(checks)))


def _side_by_side(some: Iterable[tuple[int, Check]], missing: Collection[str]) -> dict[int, Finding]:
    found: dict[int, Finding] = {}
    running: list[tuple[int, Check, threading.Thread, list[Finding]]] = []
    for at, check in some:
        if lacking := [name for name in check.wants if name in missing]:
            verb = "is" if len(lacking) == 1 else "are"
            found[at] = Finding(check.group, check.name, None, f"{', '.join(lacking)} {verb} missing")
            continue
        answers: list[Finding] = []
        thread = threading.Thread(target=lambda c=check, a=answers: a.append(_make(c)), daemon=True)
        thread.start()
        running.append((at, check, thread, answers))
    for at, check, thread, answers in running:
        thread.join(check.limit)  # those side by side began together: the first to be late is waited for
        found[at] = answers[0] if answers else _late(check)
    return found


def _make(check: Check) -> Finding:
    try:
        said = check.make()
    except NotChecked as why:
        return Finding(check.group, check.name, None, mask(str(why)))
    except Fault as fault:
        where = f" [{fault.where}]" if fault.where else ""
        detail = "; ".join((f"{fault.what}{where}", *(line.strip() for line in fault.details[:6])))
        return Finding(
            check.group, check.name, False, mask(detail), mask(fault.cure or ""), fault.status, fault
        )
    except OSError as error:  # and what `requests` raises
        detail = f"{type(error).__name__}: {error.strerror or error}"
        return Finding(check.group, check.name, False, mask(detail), "see what it names", Exit.FAILED)
    except Exception as error:
        detail = f"the check itself failed: {type(error).__name__}: {error}"
        return Finding(check.group, check.name, False, mask(detail), "please report this", Exit.FAILED)
    if isinstance(said, Warn):
        return Finding(check.group, check.name, True, mask(said.detail), mask(said.cure))
    return Finding(check.group, check.name, True, mask(said))


def _late(check: Check) -> Finding:
    detail = f"no answer within {check.limit:g} s"
    return Finding(check.group, check.name, False, detail, "check the network, then try again", Exit.NETWORK)
