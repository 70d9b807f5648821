"""Every command in the documentation is run, in the rehearsal profile, or it is known why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.checkouts import Checkout
from tests.docs import world as worlds
from tests.docs.pages import PAGES, ROOT, Command, blocks, everything
from tests.docs.plays import ELSEWHERE, PLAYS, SCRIPTS, Elsewhere, Play
from tests.docs.world import World

pytestmark = pytest.mark.xdist_group("release")


def each_once() -> list[Command]:
    """Every command once, where it shows the most. The runbook's are last, for they change what is public.

    Its way to a tag is first, in its order: that happens in a clone.
    """

    def late(command: Command) -> bool:
        return (command.page == "docs/production.md") != play(command.text).cloned

    found: dict[str, Command] = {}
    for command in sorted(everything(), key=late):
        before = found.get(command.text)
        if before is None or (command.shown and not before.shown):
            found[command.text] = command
    return list(found.values())


def elsewhere(text: str) -> Elsewhere | None:
    """Why it is not run: the entry with the most words that the command begins with."""
    fitting = [name for name in ELSEWHERE if f"{text} ".startswith(f"{name} ")]
    return ELSEWHERE[max(fitting, key=len)] if fitting and text not in PLAYS else None


def play(text: str) -> Play:
    """How it is run."""
    play = PLAYS.get(text, Play())
    return replace(play, words=play.words or text.replace("--profile production", "").strip())


def played_once() -> list[Command]:
    """Those that are run; of several that come to the same, one, unless output is shown."""
    found: dict[Play, Command] = {}
    shown = []
    for command in COMMANDS:
        if elsewhere(command.text):
            continue
        if command.shown:
            shown.append(command)
        found.setdefault(play(command.text), command)
    return [command for command in COMMANDS if command in (*found.values(), *shown)]


COMMANDS = each_once()
PLAYED = played_once()
LEFT = [command for command in COMMANDS if elsewhere(command.text)]


@pytest.fixture(scope="module")
def world(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield worlds.make(checkout, tmp_path_factory.mktemp("documented"))


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.parametrize("command", PLAYED, ids=lambda command: f"{command.where} {command.text}")
def test_it_does_what_the_page_says(command: Command, world: World, checkout: Checkout) -> None:
    how = play(command.text)
    if how.before:
        world.run(how.before)
    if how.until:
        done = world.serve(how.words, how.until)
    else:
        done = world.run(how.words, how.stdin, cloned=how.cloned)
    assert done.status == how.status, done.output
    assert "Traceback" not in done.output and how.says in done.output, done.output
    said = checkout.output if command.text == "./invoke release" else done.output  # the first one made all
    assert worlds.missing(command.shown, said) == [], done.output


@pytest.mark.parametrize("command", PLAYED, ids=lambda command: f"{command.where} {command.text}")
def test_it_can_be_run(command: Command) -> None:
    """It is ours, or a program that this table lets run here; and nothing in it is left to be filled in."""
    words = play(command.text).words.split()
    assert words[0] in ("./invoke", "python", ".venv/bin/python", "git"), "add it to PLAYS or ELSEWHERE"
    assert not re.search(r"…|\[|\b[A-Z]{3,}\b(?![=.])", " ".join(words)), "say in PLAYS what stands for it"


def test_the_tables_have_nothing_old() -> None:
    texts = {command.text for command in COMMANDS}
    assert set(PLAYS) - texts == set()
    used = {name for name in ELSEWHERE if any(f"{text} ".startswith(f"{name} ") for text in texts)}
    assert set(ELSEWHERE) - used == set()


@pytest.mark.parametrize("command", LEFT, ids=lambda command: command.text)
def test_what_is_not_run_is_known(command: Command) -> None:
    found = elsewhere(command.text)
    assert found and found.why
    if found.test:
        assert is_a_test(found.test)
    if found.options:
        options = {word.partition("=")[0] for word in command.text.split() if re.match(r"--?[a-z]", word)}
        assert options <= set(found.options.split())


def is_a_test(path_and_name: str) -> bool:
    path, _, name = path_and_name.partition("::")
    return f"def {name}(" in (ROOT / path).read_text("utf-8")


def test_scripts_are_run_by_tests_of_their_own() -> None:
    assert set(SCRIPTS) == {page for page in PAGES for block in blocks(page) if block.language == "sh"}
    assert all(is_a_test(test) for test in SCRIPTS.values())


@pytest.mark.parametrize(
    ("shown", "output", "left"),
    [
        (["12 of 14 steps, 3.5 s"], "7 of 14 steps,  28.0 s", []),
        (["Notarize 3.5 s Accepted"], "Notarize  2:05 min  Accepted", []),
        (["a … z", "", "b"], "x\na b z\nc\nb", []),
        (["b", "a"], "a\nb", ["a"]),
        (["ok"], "not it", ["ok"]),
        (["at 1a2b3c4d5e6f"], "at 0011223344ff", []),
        (["at 1a2b3c4d5e6f"], "at nowhere", ["at 1a2b3c4d5e6f"]),
        (["1.0 is [new]"], "1.0 is n", ["1.0 is [new]"]),
    ],
)
def test_what_is_shown_is_looked_for(shown: list[str], output: str, left: list[str]) -> None:
    assert worlds.missing(shown, output) == left
