"""Release notes out of feed and changelog, as lines of plain text: no HTML of elsewhere is in our pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final, Literal

MOST: Final = 40  # lines on the landing page
ALL: Final = 1000  # lines of one version

Kind = Literal["heading", "point", "text"]
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("h1", "h2", "h3", "h4"), "heading"),
    "li": "point",
    "p": "text",
    "div": "text",
}
_SECTION: Final = re.compile(r"<h2[^>]*>")


@dataclass(frozen=True, slots=True)
class Line:
    """One line and what it is."""

    kind: Kind
    text: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._kind: Kind = "text"
        self._parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        if tag in _KINDS and not (tag == "p" and self._kind == "point"):
            self.flush()
            self._kind = _KINDS[tag]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        if tag in _KINDS and not (tag == "p" and self._kind == "point"):
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._parts.append(data)

    def flush(self) -> None:
        text = " ".join("".join(self._parts).split())
        self._parts.clear()
        if text:
            self.lines.append(Line(self._kind, text))
        self._kind = "text"


def lines(html: str, most: int = MOST) -> tuple[Line, ...]:
    """Read notes, HTML or Markdown, into at most so many lines."""
    if "<" not in html:
        return tuple(_markdown(line) for line in html.splitlines() if line.strip(" #*-"))[:most]
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.flush()
    return tuple(reader.lines[:most])


def section(page: str, version: str) -> tuple[str, str] | None:
    """Find a version's section in the page with the whole changelog: the heading's text, and what follows."""
    for part in _SECTION.split(page)[1:]:
        heading, _, body = part.partition("</h2>")
        title = " ".join(line.text for line in lines(f"<p>{heading}</p>"))
        name = title.partition(" ")[0].strip("[]").removeprefix("v")
        if name.casefold() == version.casefold():
            return title, body
    return None


def _markdown(line: str) -> Line:
    text = line.strip()
    if text.startswith("#"):
        return Line("heading", text.lstrip("# "))
    if text.startswith(("- ", "* ")):
        return Line("point", text[2:].strip())
    return Line("text", text)
