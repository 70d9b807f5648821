"""The desk that agents are tried at: it lets nothing out, and quotes what fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import desk as desks
from tests.agents.desk import Desk
from tests.agents.gate import Gate

FETCH = "import sys, urllib.request as it; print(it.urlopen(sys.argv[1]).status)"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Gate() as gate:
        yield Desk(tmp_path, "http://127.0.0.1:9", gate)


@pytest.mark.parametrize("url", ["https://elsewhere.example/", "http://elsewhere.example/a"])
def test_who_wants_out_is_refused_and_noted(desk: Desk, url: str) -> None:
    with pytest.raises(AssertionError, match="403"):
        desk.run(sys.executable, "-c", FETCH, url)
    assert desk.gate.wanted == {"elsewhere.example"}


def test_loopback_is_not_asked_of_the_gate(desk: Desk) -> None:
    with pytest.raises(AssertionError, match="refused"):
        desk.run(sys.executable, "-c", FETCH, "http://127.0.0.1:9/")
    assert desk.gate.wanted == set()


def test_a_failure_is_quoted(desk: Desk) -> None:
    with pytest.raises(AssertionError, match="no such thing"):
        desk.run("sh", "-c", "echo no such thing >&2; exit 3")


def test_what_does_not_end_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "PATIENCE", 0.5)
    with pytest.raises(AssertionError, match=r"(?s)did not end within 0.5 s.*began"):
        desk.run("sh", "-c", "echo began; sleep 600 & sleep 600")


def test_the_home_is_the_desks_own(desk: Desk) -> None:
    desk.put("hello", ["echo", "hello from"])
    assert desk.run("hello", "PATH").strip() == "hello from PATH"
    assert desk.run("sh", "-c", "echo $HOME; pwd").split() == [str(desk.home), str(desk.work)]
