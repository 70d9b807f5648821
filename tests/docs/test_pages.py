"""What the pages name is there: tasks, options, the app's commands, files, links; no task is left out."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from functools import cache
from pathlib import PurePosixPath

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

from app.cli.main import parser as app_parser
from tasks import namespace
from tests.docs.pages import (
    COMMANDS,
    PAGES,
    ROOT,
    Command,
    blocks,
    codes,
    everything,
    in_blocks,
    prose,
    text_of,
)

LANGUAGES = {*COMMANDS, "text", "sh", "python", "javascript", "xml", "json", "yaml", "toml", "ini"}


@cache
def tasks() -> dict[str, set[str]]:
    """Every task by name and alias, with its options as they are typed."""
    found: dict[str, set[str]] = {}
    for context in namespace.to_contexts():
        for name in (context.name, *context.aliases):
            found[name or ""] = {flag for flag in context.flags if flag.startswith("--")}
    return found


def plain(command: Command) -> list[str]:
    """The words with what may be left out and what goes on as before."""
    return re.sub(r"[][]|…", " ", command.text).split()


@pytest.mark.parametrize("command", everything(), ids=lambda command: f"{command.where} {command.text}")
def test_a_command_is_one(command: Command) -> None:
    """Of ours, it parses: task or command exist, and so do the options. Of others test_played knows."""
    words = plain(command)
    if words[0] == "./invoke" and words[1:] not in (["--list"], ["--help"]):
        try:
            Parser(namespace.to_contexts()).parse_argv(words[1:])
        except ParseError as problem:
            named = len(words) == 2 and "required positional" in str(problem)  # a task named, not called
            assert named, f"{command.where}: {problem}"
    elif words[0].endswith("python") and words[1:3] == ["-m", "app"]:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                app_parser().parse_args(words[3:])
            except SystemExit:
                pytest.fail(f"{command.where}: {said.getvalue()}")


def test_every_task_is_named_somewhere() -> None:
    named = {words[1] for command in everything() if (words := plain(command))[0] == "./invoke"}
    missing = [
        context.name for context in namespace.to_contexts() if not named & {context.name, *context.aliases}
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_option_named_in_the_text_exists(page: str) -> None:
    known = set().union(*tasks().values()) | options_of_the_app() | FOREIGN
    named = {word for _, code in codes(prose(page)) for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)}
    assert named - known == set()


# Options of other programs that the pages speak of.
FOREIGN = {
    "--assess", "--deep", "--delete", "--disable", "--generate-hashes", "--ignore-scripts", "--strict",
    "--verify",
}  # fmt: skip


def options_of_the_app() -> set[str]:
    """Every option of every command of the app."""

    def below(parser: argparse.ArgumentParser) -> set[str]:
        found = {option for action in parser._actions for option in action.option_strings}
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= set().union(*(below(each) for each in action.choices.values()))
        return found

    return below(app_parser())


def test_every_option_of_release_is_explained() -> None:
    page = text_of("docs/release.md")
    assert {option for option in tasks()["release"] if f"`{option}" not in page} == set()


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page: str) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", prose(page)):
        link = "".join(target)
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), link
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text("utf-8")), link


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    """Paths in code that begin with one of our folders; `tests/…::name` names a test in it."""
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"dist", "build", ".venv"}
    for _, code in codes(prose(page)):
        for word in re.findall(r"[\w.\-/*]+/[\w.\-/*]*", code.partition("::")[0]):
            if PurePosixPath(word).parts[0] in tops and word not in UNTRACKED:
                assert list(ROOT.glob(word.rstrip("/"))), f"{page}: {word}"
        path, _, name = code.partition("::")
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{page}: {code}"


UNTRACKED = {"worker/.dev.vars"}  # made by whoever runs it


def test_the_reader_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "## A\n```\n./invoke a  words\ngit b \\\n  c\n```\n| `./invoke x.y`, `.z W` |\n\n"
    page += "```console\n$ d  e\nf\n```\n"
    monkeypatch.setattr("tests.docs.pages.text_of", lambda name: page)
    from tests.docs.pages import in_text

    found = [(each.line, each.section, each.text, each.shown) for each in (*in_blocks("p"), *in_text("p"))]
    assert found == [
        (3, "A", "./invoke a", ()),
        (4, "A", "git b c", ()),
        (10, "A", "d", ("f",)),
        (7, "A", "./invoke x.y", ()),
        (7, "A", "./invoke x.z W", ()),
    ]
