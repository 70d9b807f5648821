"""Writes a changed JSONC tree back into its text: see app/agents/jsonc.py."""

from __future__ import annotations

import json
import re
from typing import Any

from app.agents.jsonc import UNSET, Array, Document, Entry, Object, plain

_SAME_LINE = re.compile(r"(?:[ \t]|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
_BLANKS = re.compile(r"[ \t]*")


def render(document: Document) -> str:
    """Write the text with the tree's changes."""
    edits: list[tuple[int, int, str]] = []
    if isinstance(document.root, Object | Array):
        _Writer(document.text, edits).container(document.root)
    pieces, position = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        pieces += [document.text[position:start], new]
        position = end
    return "".join([*pieces, document.text[position:]])


class _Writer:
    """Turns the changes of containers into edits (start, end, new text) of the text."""

    def __init__(self, text: str, edits: list[tuple[int, int, str]]) -> None:
        self.text = text
        self.edits = edits
        self.newline = "\r\n" if "\r\n" in text else "\n"
        first = re.search(r"\n([ \t]+)\S", text)
        self.unit = first[1] if first else "  "
        self.colon = ":" if re.search(r'":\S', text) and not re.search(r'": ', text) else ": "

    def container(self, container: Object | Array) -> None:
        kept = container.kept
        if not kept and (container.added or container.entries) and not self._comments(container):
            self._replace_all(container)
            return
        for entry in kept:
            self._entry(entry)
        self._commas(container, kept)
        for index, entry in enumerate(container.entries):
            if entry.deleted:
                self._delete(container, index)
        if container.added:
            self._append(container, kept)

    def _entry(self, entry: Entry) -> None:
        if entry.replaced is not UNSET:
            self._edit(entry.value_start, entry.end, self._dump(entry.replaced, self._indent(entry.start)))
        elif isinstance(entry.value, Object | Array):
            self.container(entry.value)

    def _replace_all(self, container: Object | Array) -> None:
        """Write a container anew in which nothing is left, and of which no comment would be lost."""
        added = container.added
        if container.one_line and added:
            opening, closing = self.text[container.start], self.text[container.end - 1]
            inner = ("," if self.colon == ":" else ", ").join(self._members(container, None))
            self._edit(container.start, container.end, f"{opening}{inner}{closing}")
        else:
            self._edit(container.start, container.end, self._dump(added, self._indent(container.start)))

    def _commas(self, container: Object | Array, kept: list[Entry]) -> None:
        trailing = container.entries[-1].comma is not None if container.entries else False
        for entry in kept:
            needed = trailing or entry is not kept[-1] or bool(container.added)
            if needed and entry.comma is None:
                self._edit(entry.end, entry.end, ",")
            elif not needed and entry.comma is not None:
                self._edit(entry.comma, entry.comma + 1, "")

    def _delete(self, container: Object | Array, index: int) -> None:
        entry = container.entries[index]
        end = entry.end if entry.comma is None else entry.comma + 1
        start, own_line = self._line_start(entry.start)
        rest = self._same_line(end)
        if own_line and self.text[rest : rest + 1] in ("\r", "\n"):
            self._edit(start, self.text.index("\n", rest) + 1, "")
        elif any(not earlier.deleted for earlier in container.entries[:index]):
            self._edit(start, end, "")
        else:
            after = _BLANKS.match(self.text, end)
            self._edit(entry.start, after.end() if after else end, "")

    def _append(self, container: Object | Array, kept: list[Entry]) -> None:
        trailing = bool(container.entries) and container.entries[-1].comma is not None
        if container.one_line:
            gap = "" if self.colon == ":" else " "
            new = "".join(f"{gap}{member}," for member in self._members(container, None))
            place = container.start + 1 if not kept else self._after(kept[-1])
            self._edit(place, place, new if trailing else new.removesuffix(","))
            return
        indent = self._member_indent(container)
        new = "".join(f"{self.newline}{indent}{member}," for member in self._members(container, indent))
        place = self._same_line(self._after(kept[-1]) if kept else container.start + 1)
        self._edit(place, place, new if trailing else new.removesuffix(","))

    def _members(self, container: Object | Array, indent: str | None) -> list[str]:
        if isinstance(container, Object):
            return [
                f"{json.dumps(key, ensure_ascii=False)}{self.colon}{self._dump(value, indent)}"
                for key, value in container.added.items()
            ]
        return [self._dump(value, indent) for value in container.added]

    def _dump(self, value: Any, indent: str | None) -> str:
        """Write `value`; `indent` is that of its line, None for all on one line."""
        if indent is None or (self.colon == ":" and self.newline not in self.text):
            separators = (",", ":") if self.colon == ":" else (", ", ": ")
            return json.dumps(plain(value), ensure_ascii=False, separators=separators)
        text = json.dumps(plain(value), ensure_ascii=False, indent=self.unit, separators=(",", ": "))
        return text.replace("\n", self.newline + indent)

    def _member_indent(self, container: Object | Array) -> str:
        for entry in container.entries:
            start, own_line = self._line_start(entry.start)
            if own_line:
                return self.text[start : entry.start]
        return self._indent(container.start) + self.unit

    def _indent(self, position: int) -> str:
        """Give the blanks that the line of `position` begins with."""
        found = _BLANKS.match(self.text, self.text.rfind("\n", 0, position) + 1)
        return found[0] if found else ""

    def _line_start(self, position: int) -> tuple[int, bool]:
        """Give where the blanks before `position` begin, and whether a line does there."""
        start = position
        while start and self.text[start - 1] in " \t":
            start -= 1
        return start, start > 0 and self.text[start - 1] == "\n"

    def _after(self, entry: Entry) -> int:
        return entry.end if entry.comma is None else entry.comma + 1

    def _same_line(self, position: int) -> int:
        """Give where what follows `position` on its line, blanks and comments, ends."""
        found = _SAME_LINE.match(self.text, position)
        end = found.end() if found else position
        return end if self.text[end : end + 1] in ("", "\r", "\n") else position

    def _comments(self, container: Object | Array) -> bool:
        """Say whether a comment stands between the container's entries."""
        position, outside = container.start + 1, []
        for entry in container.entries:
            outside.append(self.text[position : entry.start])
            position = entry.end
        return "/" in "".join([*outside, self.text[position : container.end - 1]])

    def _edit(self, start: int, end: int, new: str) -> None:
        self.edits.append((start, end, new))
