"""The documentation as a list of commands: what stands in code blocks, and what stands in the text.

A block without a language, or `console`, holds commands; output and drawings are marked `text`, scripts `sh`.

    ./invoke release          what follows two spaces is said about the command
    $ ./invoke releases       a prompt: the lines below are what it prints; `…` stands for what varies
    git commit \\              a line may go on
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md"))
        if not path.name.startswith("CHANGELOG")
    )
)
COMMANDS = ("", "console")
OURS = ("./invoke", "python", ".venv/bin/python")

_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(``?)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_ASIDE = re.compile(r"(?<=\S)(?:  +| +# ).*$")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: where it stands, its words, what the page says that it prints."""

    page: str
    line: int
    section: str
    text: str
    shown: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """`docs/release.md:12`."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str


def text_of(page: str) -> str:
    """The page as it stands."""
    return (ROOT / page).read_text("utf-8")


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, in order; `line` is that of their first line."""
    text = text_of(page)
    for found in _FENCE.finditer(text):
        inner = re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE)
        yield Block(page, text.count("\n", 0, found.start(3)) + 1, found[2], inner)


def prose(page: str) -> str:
    """The page with its blocks blanked, line for line."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text_of(page))


def codes(text: str) -> Iterator[tuple[int, str]]:
    """All inline code with its offset."""
    for found in _CODE.finditer(text):
        yield found.start(2), " ".join(found[2].split())


def in_blocks(page: str) -> Iterator[Command]:
    """The commands in a page's shell blocks."""
    text = text_of(page)
    for block in blocks(page):
        if block.language in COMMANDS:
            start = sum(len(line) for line in text.splitlines(keepends=True)[: block.line - 1])
            yield from _lines(block, _section(text, start))


def in_text(page: str) -> Iterator[Command]:
    """The commands of ours that stand in a page's text and tables.

    `./invoke appcast.show`, `.lint FEED` is short for two, and in a table's cell so is `./invoke a`, `b`.
    """
    text = prose(page)
    for number, line in enumerate(text.split("\n"), 1):
        for cell in line.split(" | ") if line.startswith("| ") else [line]:
            yield from _spoken(page, number, _section(text, _offset(text, number)), cell, line[:1] == "|")


def everything() -> list[Command]:
    """All commands of all pages."""
    return [command for page in PAGES for command in (*in_blocks(page), *in_text(page))]


def _lines(block: Block, section: str) -> Iterator[Command]:
    joined = re.sub(r" *\\\n *", " ", block.text)
    prompted = joined.startswith("$ ")
    shown: list[str] = []
    text, place = "", 0
    for number, line in enumerate(joined.split("\n")[:-1]):
        if prompted and not line.startswith("$ "):
            shown.append(line)
            continue
        if text:
            yield Command(block.page, place, section, text, tuple(shown))
        text, place, shown = _ASIDE.sub("", line.removeprefix("$ ")).strip(), block.line + number, []
        text = "" if text.startswith("#") else text
    if text:
        yield Command(block.page, place, section, text, tuple(shown))


def _spoken(page: str, number: int, section: str, text: str, table: bool) -> Iterator[Command]:
    before = ""
    for _, code in codes(text):
        words = code.split()
        if len(words) > (1 if words[0] == "./invoke" else 3) and words[0] in OURS:
            before = words[1]
            yield Command(page, number, section, code)
        elif re.fullmatch(r"\.[a-z]+( .*)?", code) and "." in before:
            yield Command(page, number, section, f"./invoke {before.partition('.')[0]}{code}")
        elif table and before and re.fullmatch(r"[a-z.]+( [A-Z]+)?", code) and code.split()[0] in _tasks():
            yield Command(page, number, section, f"./invoke {code}")


def _tasks() -> set[str]:
    from tasks import namespace

    return set(namespace.task_names)


def _section(text: str, offset: int) -> str:
    headings = [found[1] for found in _HEADING.finditer(text, 0, offset)]
    return headings[-1] if headings else ""


def _offset(text: str, number: int) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[: number - 1])
