"""What a release shows while it runs: a line a step, each time below the other."""

from __future__ import annotations

import io

import pytest

from release.progress import TITLE, Live, Plain, display
from release.steps import STEPS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(display: Plain, stream: io.StringIO, *notes: str) -> list[str]:
    with display:
        for number, (step, note) in enumerate(zip(STEPS, notes, strict=False), 1):
            display.start(step.title, number, len(STEPS))
            display.advance(1, 2)
            display.finish("ran" if number % 2 else "skipped", 7.25 if number < 3 else 125, note)
    return stream.getvalue().splitlines()


def test_every_title_has_room() -> None:
    assert max(len(step.title) for step in STEPS) <= TITLE


def test_times_stand_below_each_other() -> None:
    stream = io.StringIO()
    one, two, three = shown(Plain(stream), stream, "first", "second", "third")
    assert one.index("7.2 s") + len("7.2 s") == three.index("2:05 min") + len("2:05 min")
    assert one.index("first") == two.index("second") == three.index("third")


@pytest.mark.parametrize("note", ["[bold]", "a [x] b", "[/]"])
def test_a_note_is_no_markup(note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    live = display(stream)
    assert isinstance(live, Live)
    assert any(note in line for line in shown(live, stream, note))
