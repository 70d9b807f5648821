"""Runs steps in order, skips what is done, resumes what was cut off.

A step is skipped when the digest of everything it depends on (files, settings, tool versions, the code that
does it, the outputs and facts of the steps before it) equals the one in its journal entry, and its outputs
are still what that entry says. Nothing else decides.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from errors import Exit, Fault
from release.digests import Digests
from release.journal import Entry, Journal

Status = Literal["ran", "skipped", "would run", "would skip", "not reached"]
Advance = Callable[[int, int], None]  # done, total: bytes or items
J = TypeVar("J")


class Display(Protocol):
    """Shows a person what is going on."""

    def start(self, title: str, number: int, total: int) -> None:
        """Announce a step that begins."""

    def advance(self, done: int, total: int) -> None:
        """Show how far the current step is."""

    def finish(self, status: Status, seconds: float, note: str) -> None:
        """Close the current step."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a step depends on. `after` names the steps whose outputs and facts it uses."""

    files: Sequence[Path] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    code: Sequence[str] = ()  # modules and packages of ours, relative to the checkout
    after: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step(Generic[J]):
    """One step. `run` returns the facts that later steps and release.json need, and raises Fault to stop."""

    name: str
    title: str
    needs: Callable[[J], Needs]
    outputs: Callable[[J], Sequence[Path]]
    run: Callable[[J, Advance], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step, and why it ran."""

    name: str
    status: Status
    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which steps a person asked for. Names are checked by `check_selection`."""

    start: str | None = None
    until: str | None = None
    force: frozenset[str] = frozenset()
    dry_run: bool = False


class Pipeline(Generic[J]):
    """Steps over one release's folder and journal."""

    def __init__(
        self,
        steps: Sequence[Step[J]],
        job: J,
        *,
        root: Path,
        folder: Path,
        journal: Journal,
        digests: Digests,
        display: Display,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = steps
        self._job = job
        self._root = root
        self._folder = folder
        self._journal = journal
        self._digests = digests
        self._display = display
        self._clock = clock

    def run(self, selection: Selection) -> list[Outcome]:
        """Bring every selected step up to date. Raises what a step raises, with all before it recorded."""
        check_selection(selection, [step.name for step in self._steps])
        outcomes: list[Outcome] = []
        changed: set[str] = set()
        try:
            for number, step in enumerate(self._steps, 1):
                outcome = self._one(step, number, selection, changed, reached=_reached(outcomes, selection))
                outcomes.append(outcome)
        finally:
            self._digests.save()
        return outcomes

    def _one(
        self, step: Step[J], number: int, selection: Selection, changed: set[str], *, reached: bool
    ) -> Outcome:
        if not reached:
            return Outcome(step.name, "not reached", 0.0)
        if _before_start(step.name, selection, [one.name for one in self._steps]):
            return self._taken(step)
        why = self._why(step, selection, changed)
        if selection.dry_run:
            changed |= {step.name} if why else set()
            return Outcome(step.name, "would run" if why else "would skip", 0.0, why)
        self._display.start(step.title, number, len(self._steps))
        if not why:
            seconds = self._journal.entries[step.name].seconds
            self._display.finish("skipped", seconds, "unchanged")
            return Outcome(step.name, "skipped", seconds)
        return self._execute(step, why, changed)

    def _taken(self, step: Step[J]) -> Outcome:
        entry = self._journal.entries.get(step.name)
        if entry is None:
            raise Fault(
                f"{step.name} has not been done yet, so nothing can start after it",
                cure=f"start at {step.name} or before",
                status=Exit.USAGE,
            )
        return Outcome(step.name, "skipped", entry.seconds, "taken as it is")

    def _why(self, step: Step[J], selection: Selection, changed: set[str]) -> str:
        """Why `step` has to run; empty if it has not."""
        entry = self._journal.entries.get(step.name)
        if step.name in selection.force or "all" in selection.force:
            return "forced"
        if step.name == selection.start:
            return "asked to start here"
        try:
            needs = step.needs(self._job)
        except Fault as fault:
            if not selection.dry_run:
                raise
            return "not done yet" if entry is None else f"can't be told: {fault.what}"
        # A step that is really run shows in the digests whether it changed anything for those after it; in a
        # dry run nobody knows, so all of them are named.
        if selection.dry_run and (touched := sorted(changed & set(needs.after))):
            return f"after {', '.join(touched)}"
        if entry is None:
            return "not done yet"
        if entry.key != self._key(step, needs):
            return "its inputs changed"
        if lost := [name for name, digest in entry.outputs.items() if self._output_digest(name) != digest]:
            return f"{lost[0]} is gone or changed"
        return ""

    def _execute(self, step: Step[J], why: str, changed: set[str]) -> Outcome:
        self._journal.forget(step.name)
        began = self._clock()
        facts = step.run(self._job, self._display.advance)
        outputs = {
            os.path.relpath(path, self._folder): self._digests.of(path) for path in step.outputs(self._job)
        }
        if missing := [name for name, digest in outputs.items() if digest == "absent"]:
            raise Fault(f"{step.name} ended without making {missing[0]}", where=self._folder)
        seconds = self._clock() - began
        # Computed after the run: a step may be what brings its own inputs (downloads) into being.
        entry = Entry(self._key(step, step.needs(self._job)), outputs, dict(facts), round(seconds, 3))
        self._journal.record(step.name, entry)
        self._digests.save()
        changed.add(step.name)
        self._display.finish("ran", seconds, str(facts.get("note", "")))
        return Outcome(step.name, "ran", round(seconds, 3), why)

    def _output_digest(self, name: str) -> str:
        return self._digests.of(self._folder / name)

    def _key(self, step: Step[J], needs: Needs) -> str:
        before = {name: self._journal.entries.get(name) for name in needs.after}
        material = {
            "files": {str(path): self._digests.of(path) for path in needs.files},
            "settings": needs.settings,
            "tools": needs.tools,
            "code": {name: self._digests.of(self._root / name) for name in needs.code},
            "after": {
                name: None if entry is None else [dict(entry.outputs), dict(entry.facts)]
                for name, entry in before.items()
            },
        }
        return hashlib.sha256(json.dumps(material, sort_keys=True, default=str).encode()).hexdigest()


def _reached(outcomes: Sequence[Outcome], selection: Selection) -> bool:
    return not any(outcome.name == selection.until for outcome in outcomes)


def _before_start(name: str, selection: Selection, names: Sequence[str]) -> bool:
    return selection.start is not None and names.index(name) < names.index(selection.start)


def check_selection(selection: Selection, names: Sequence[str]) -> None:
    """Fault USAGE if a step is named that doesn't exist, or the end comes before the start."""
    asked = {name for name in (selection.start, selection.until, *selection.force) if name} - {"all"}
    if unknown := sorted(name for name in asked if name not in names):
        raise Fault(f"there is no step {unknown[0]!r}", cure=f"steps: {', '.join(names)}", status=Exit.USAGE)
    if selection.start and selection.until and names.index(selection.until) < names.index(selection.start):
        raise Fault(
            f"--until {selection.until} comes before --from {selection.start}",
            cure=f"order: {', '.join(names)}",
            status=Exit.USAGE,
        )


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the checkout's release lock. The kernel lets go of it when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Fault(
                f"another release is running in this checkout (process {holder})",
                where=path,
                cure="wait for it, or end it",
                status=Exit.LOCKED,
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
