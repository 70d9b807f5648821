from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release import journal
from release.digests import Digests
from release.pipeline import Needs, Pipeline, Selection, Step, lock
from release.progress import Plain


class Job:
    """Three small real steps: copy a source, double it, count it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "dist"
        self.ran: list[str] = []
        self.fail_in: str | None = None

    def steps(self) -> list[Step[Job]]:
        def step(name: str, act: Callable[[], Mapping[str, Any]], needs: Needs, *outputs: str) -> Step[Job]:
            def run(job: Job, advance: Callable[[int, int], None]) -> Mapping[str, Any]:
                job.ran.append(name)
                if job.fail_in == name:
                    raise Fault("made to fail")
                return act()

            return Step(
                name, name, lambda job: needs, lambda job: [self.folder / one for one in outputs], run
            )

        source = self.root / "source"
        return [
            step("copy", lambda: self._write("a", source.read_text()), Needs(files=[source]), "a"),
            step(
                "double",
                lambda: self._write("b", (self.folder / "a").read_text() * 2),
                Needs(after=["copy"]),
                "b",
            ),
            step("count", lambda: {"length": len((self.folder / "b").read_text())}, Needs(after=["double"])),
        ]

    def _write(self, name: str, text: str) -> Mapping[str, Any]:
        (self.folder / name).write_text(text)
        return {}

    def go(self, **how: Any) -> list[str]:
        self.ran.clear()
        pipeline = Pipeline(
            self.steps(), self, root=self.root, folder=self.folder,
            journal=journal.load(self.folder / "journal.json"),
            digests=Digests(self.root / "digests.json"),
            display=Plain(io.StringIO()),
        )  # fmt: skip
        self.outcomes = pipeline.run(Selection(**how))
        return list(self.ran)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "source").write_text("text")
    (tmp_path / "dist").mkdir()
    return Job(tmp_path)


def test_second_run_does_nothing(job: Job) -> None:
    assert job.go() == ["copy", "double", "count"]
    assert job.go() == []


def test_changed_source_redoes_what_depends_on_it(job: Job) -> None:
    job.go()
    (job.root / "source").write_text("other")
    assert job.go() == ["copy", "double", "count"]
    assert (job.folder / "b").read_text() == "otherother"


def test_lost_output_is_made_again_and_nothing_before_it(job: Job) -> None:
    job.go()
    (job.folder / "b").unlink()
    assert job.go() == ["double"]


def test_altered_output_is_noticed(job: Job) -> None:
    job.go()
    (job.folder / "a").write_text("tampered")
    assert "copy" in job.go()


def test_a_failed_step_resumes_there(job: Job) -> None:
    job.fail_in = "double"
    with pytest.raises(Fault):
        job.go()
    job.fail_in = None
    assert job.go() == ["double", "count"]


def test_a_failure_in_a_redo_leaves_no_entry(job: Job) -> None:
    job.go()
    job.fail_in = "double"
    with pytest.raises(Fault):
        job.go(force=frozenset({"double"}))
    job.fail_in = None
    assert job.go() == ["double"]


def test_from_until_force_and_dry_run(job: Job) -> None:
    assert job.go(until="double") == ["copy", "double"]
    assert job.go() == ["count"]
    assert job.go(start="double") == ["double"]
    assert job.go(force=frozenset({"copy"})) == ["copy"]  # same outcome: that ends it
    assert job.go(force=frozenset({"all"})) == ["copy", "double", "count"]
    assert job.go(dry_run=True, force=frozenset({"double"})) == []
    assert [one.status for one in job.outcomes] == ["would skip", "would run", "would run"]
    assert job.go() == []


def test_start_needs_what_comes_before(job: Job) -> None:
    with pytest.raises(Fault) as caught:
        job.go(start="double")
    assert caught.value.status == Exit.USAGE


@pytest.mark.parametrize("how", [{"start": "nope"}, {"until": "nope"}, {"start": "count", "until": "copy"}])
def test_bad_selection(job: Job, how: dict[str, str]) -> None:
    with pytest.raises(Fault) as caught:
        job.go(**how)
    assert caught.value.status == Exit.USAGE
    assert caught.value.cure


def test_unreadable_journal_is_said(job: Job) -> None:
    (job.folder / "journal.json").write_text("{")
    with pytest.raises(Fault, match="journal"):
        job.go()


def test_two_at_once(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(Fault) as caught, lock(tmp_path):
        pass
    assert caught.value.status == Exit.LOCKED
    assert str(os.getpid()) in caught.value.what
    with lock(tmp_path):
        pass
