"""A changelog's sections as values: what a release is about, and how much it changes.

The manner is that of Keep a Changelog: second-level headings name versions, `[Unreleased]` first, third-level
ones the kinds of change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from errors import Exit, Fault
from release import notes
from release.notes import CHANGELOG, UNRELEASED

Level = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("major", "minor", "patch")

RULE = (
    "Removed, or an entry that starts with “Breaking”: major; only Fixed and Security: patch;"
    " all else: minor. Below 1.0 one step less."
)
_HEADING = re.compile(
    r"\[?v?(?P<name>[^\]\s]+)\]?(?:\([^)]*\))?(?:\s*[-–—(]*\s*(?P<date>\d{4}-\d{2}-\d{2}))?"
)
_BREAKING = re.compile(r"\W*breaking\b", re.I)
_REPAIRS = frozenset(("fixed", "security"))
_CONTENT = frozenset(("inline", "fence", "code_block", "html_block"))


class ChangelogFault(Fault):
    """A changelog does not say what it has to."""

    status = Exit.VERSION


@dataclass(frozen=True, slots=True)
class Section:
    """One version's section. `line` is that of its heading, `after` the one behind it, counted from 0.

    `date` is "" or as written, `body` the Markdown below the heading, `kinds` the headings in it that have
    something below them, in lower case; "" stands for what comes before any.
    """

    name: str
    date: str
    line: int
    after: int
    body: str
    kinds: tuple[str, ...]
    breaking: bool

    @property
    def unreleased(self) -> bool:
        """Whether it is about what has not been released yet."""
        return self.name.casefold() == UNRELEASED.casefold()

    @property
    def level(self) -> Level:
        """How much it changes; see RULE."""
        if self.breaking or "removed" in self.kinds:
            return "major"
        return "patch" if set(self.kinds) <= _REPAIRS else "minor"


def files(root: Path) -> tuple[Path, ...]:
    """Return the changelog and its translations, the changelog first."""
    return (root / CHANGELOG, *notes.translations(root).values())


def sections(text: str) -> tuple[Section, ...]:
    """Cut a changelog into its sections, in their order."""
    lines = text.splitlines()
    return tuple(_section(tokens, lines) for tokens, _, _ in notes.sections(text, notes.parser(html=True)))


def find(text: str, version: str) -> Section | None:
    """Return a version's section, or None."""
    return next((one for one in sections(text) if one.name.casefold() == version.casefold()), None)


def require(path: Path, version: str) -> Section:
    """Return a version's section. Raises ChangelogFault if it is missing or says nothing."""
    found = find(notes.read(path), version)
    if found is None:
        raise ChangelogFault(
            f"{path.name} has no section for {version}",
            where=path,
            cure=f"write what changed under a heading `## [{UNRELEASED}]`"
            if version == UNRELEASED
            else "./invoke bump makes one of what is under [Unreleased]",
        )
    if not found.kinds:
        raise ChangelogFault(
            f"{path.name} says nothing under [{found.name}]",
            where=f"{path}:{found.line + 1}",
            cure="write there what changed for those who use the app",
        )
    return found


def newest(text: str) -> Section | None:
    """Return the first section that is a version's."""
    return next((one for one in sections(text) if not one.unreleased), None)


def released(root: Path, version: str) -> Section:
    """Return a version's section; every translation has one, too, dated the same. Raises ChangelogFault."""
    paths = files(root)
    found = [require(path, version) for path in paths]
    for path, section in zip(paths, found, strict=True):
        if not section.date:
            raise ChangelogFault(
                f"{path.name} has no date for {version}",
                where=f"{path}:{section.line + 1}",
                cure=f"write `## [{version}] - YYYY-MM-DD`, or let ./invoke bump write it",
            )
        if section.date != found[0].date:
            raise ChangelogFault(
                f"{path.name} dates {version} {section.date}, {paths[0].name} {found[0].date}",
                where=path,
                cure="make them the same",
            )
    return found[0]


def next_version(before: str | None, level: Level) -> str:
    """Return the version `level` above `before`, in three parts. See RULE for what is below 1.0."""
    if before is None:
        return "0.1.0"
    major, minor, patch = parts(before)
    if major == 0:
        level = LEVELS[min(LEVELS.index(level) + 1, 2)]
    return raised((major, minor, patch), level)


def raised(version: tuple[int, int, int], level: Level) -> str:
    """Return a version with one of its parts raised and those after it zero."""
    major, minor, patch = version
    if level == "major":
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level == "minor" else f"{major}.{minor}.{patch + 1}"


def parts(version: str) -> tuple[int, int, int]:
    """Return a version's three numbers; the last is 0 if it has two."""
    major, minor, patch = ([int(part) for part in version.split(".")] + [0])[:3]
    return major, minor, patch


def dated(text: str, version: str, date: str) -> str:
    """Return a changelog in which [Unreleased] has become `version`'s section, below a new empty one.

    Definitions of links that compare versions, as Keep a Changelog has them, go along: [unreleased] then
    compares with `version`, and `version` with what [unreleased] compared with.
    """
    found = find(text, UNRELEASED)
    if found is None:
        raise ChangelogFault("there is no section [Unreleased]", cure="write one")
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    heading = f"## [{version}] - {date}{end}"
    lines[found.line : found.after] = [*lines[found.line : found.after], end, heading]
    return _compared("".join(lines), version, end)


def _compared(text: str, version: str, end: str) -> str:
    definition = re.compile(
        r"^\[unreleased\]:[ \t]*(?P<base>\S+/compare/)v?(?P<old>[^\s.]+(?:\.[^\s.]+)*)\.\.\."
        r"(?P<head>\S+)[ \t]*\r?$",
        re.I | re.M,
    )
    found = definition.search(text)
    if found is None:
        return text
    base, old, head = found["base"], found["old"], found["head"]
    lines = f"[Unreleased]: {base}v{version}...{head}{end}[{version}]: {base}v{old}...v{version}"
    tail = "\r" if found[0].endswith("\r") else ""
    return text[: found.start()] + lines + tail + text[found.end() :]


def _section(tokens: list[Any], lines: Sequence[str]) -> Section:
    start, after = tokens[0].map
    stop = max(token.map[1] for token in tokens if token.map)
    found = _HEADING.match(tokens[1].content.strip())
    name, date = (found["name"], found["date"] or "") if found else (tokens[1].content.strip(), "")
    entries = list(_entries(tokens[3:]))
    return Section(
        name,
        date,
        start,
        after,
        "\n".join(lines[after:stop]).strip(),
        tuple(dict.fromkeys(kind for kind, _ in entries)),
        any(_BREAKING.match(kind) or _BREAKING.match(entry) for kind, entry in entries),
    )


def _entries(tokens: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield what is written, each with the kind of change that it stands under."""
    kind, heading = "", False
    for token in tokens:
        if token.type == "heading_open":
            heading = True
        elif token.type == "heading_close":
            heading = False
        elif heading and token.type == "inline":
            kind = token.content.strip().casefold()
        elif token.type in _CONTENT:
            yield kind, token.content
