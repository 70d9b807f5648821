"""JSON with comments and trailing commas, edited in place: what is not touched keeps its bytes.

`parse` gives a tree of `Object` and `Array` that reads and changes like a dict and a list; `render` writes
the text back with the changes spliced in, in the manner of what stands around them (indentation, one line
or many, line ends, trailing commas). The language is VS Code's and OpenCode's "JSONC": JSON, `//` and `/*
*/` comments, and a comma after the last member.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

MAX_DEPTH = 200

_TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.S)
_SCALAR = re.compile(
    r'(?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null'
)
_SAME_LINE = re.compile(r"(?:[ \t]|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
_BLANKS = re.compile(r"[ \t]*")
_UNSET = object()


class SyntaxFault(ValueError):
    """The text is not JSONC; `line` and `column` count from 1."""

    def __init__(self, what: str, text: str, position: int) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}: {what}")


@dataclass(slots=True)
class Entry:
    """A member of an object or an item of an array, as it stands in the text (`start` to `end`).

    `comma` is the place of the comma after it, or None. `value` is a scalar, an Object or an Array;
    `replaced` holds what it is to become.
    """

    start: int
    value_start: int
    end: int
    value: Any
    key: str = ""
    comma: int | None = None
    replaced: Any = _UNSET
    deleted: bool = False

    @property
    def current(self) -> Any:
        """The value as changed."""
        return self.value if self.replaced is _UNSET else self.replaced


@dataclass(slots=True)
class Container:
    """What objects and arrays have in common: entries in the text, and others to be appended."""

    text: str
    start: int
    end: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def kept(self) -> list[Entry]:
        """The entries that stay."""
        return [entry for entry in self.entries if not entry.deleted]

    @property
    def one_line(self) -> bool:
        """Whether it stands on one line; an empty one does not decide that."""
        return bool(self.entries) and "\n" not in self.text[self.start : self.end]


@dataclass(slots=True, eq=False)
class Object(Container, MutableMapping[str, Any]):
    """A JSON object. Of members with the same name the last counts, as everywhere."""

    added: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        if key in self.added:
            return self.added[key]
        return self._find(key).current

    def __setitem__(self, key: str, value: Any) -> None:
        try:
            self._find(key).replaced = value
        except KeyError:
            self.added[key] = value

    def __delitem__(self, key: str) -> None:
        if self.added.pop(key, _UNSET) is not _UNSET:
            return
        self._find(key)
        for entry in self.entries:
            entry.deleted |= entry.key == key

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys(entry.key for entry in self.kept)
        yield from self.added

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _find(self, key: str) -> Entry:
        for entry in reversed(self.kept):
            if entry.key == key:
                return entry
        raise KeyError(key)


@dataclass(slots=True, eq=False)
class Array(Container, MutableSequence[Any]):
    """A JSON array; grows at its end only."""

    added: list[Any] = field(default_factory=list)

    def __getitem__(self, index: Any) -> Any:
        return [*(entry.current for entry in self.kept), *self.added][index]

    def __setitem__(self, index: Any, value: Any) -> None:
        kept = self.kept
        if index < len(kept):
            kept[index].replaced = value
        else:
            self.added[index - len(kept)] = value

    def __delitem__(self, index: Any) -> None:
        kept = self.kept
        if index < len(kept):
            kept[index].deleted = True
        else:
            del self.added[index - len(kept)]

    def __len__(self) -> int:
        return len(self.kept) + len(self.added)

    def insert(self, index: int, value: Any) -> None:
        """Append `value`; `index` must be the end."""
        if index != len(self):
            raise NotImplementedError("only at the end")
        self.added.append(value)


@dataclass(slots=True)
class Document:
    """A whole text and its tree."""

    text: str
    root: Any


def plain(value: Any) -> Any:
    """Give the tree as dicts, lists and scalars."""
    if isinstance(value, MutableMapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, MutableSequence):
        return [plain(inner) for inner in value]
    return value


def parse(text: str) -> Document:
    """Parse JSONC; raises SyntaxFault. The text has no byte order mark."""
    return Document(text, _Parser(text).document())


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


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def document(self) -> Any:
        self._skip()
        root = self._value()
        self._skip()
        if self.position < len(self.text):
            self._fail("something follows the end")
        return root

    def _value(self) -> Any:
        opening = self.text[self.position : self.position + 1]
        if opening == "{":
            return self._container(Object(self.text, self.position), "}")
        if opening == "[":
            return self._container(Array(self.text, self.position), "]")
        return self._scalar()

    def _container(self, container: Any, closing: str) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail("nested too deeply")
        self.position += 1
        self._skip()
        while not self._take(closing):
            if container.entries and container.entries[-1].comma is None:
                self._fail(f"a comma or {closing} is missing")
            container.entries.append(self._entry(isinstance(container, Object)))
        container.end = self.position
        self.depth -= 1
        return container

    def _entry(self, named: bool) -> Entry:
        start, key = self.position, ""
        if named:
            key = self._name()
        value_start = self.position
        value = self._value()
        entry = Entry(start, value_start, self.position, value, key)
        self._skip()
        if self._take(","):
            entry.comma = self.position - 1
            self._skip()
        return entry

    def _name(self) -> str:
        if self.text[self.position : self.position + 1] != '"':
            self._fail("a name in double quotes is missing")
        key = self._scalar()
        self._skip()
        if not self._take(":"):
            self._fail("a colon is missing")
        self._skip()
        return str(key)

    def _scalar(self) -> Any:
        found = _SCALAR.match(self.text, self.position)
        if found is None:
            self._fail("a value is missing" if self.position < len(self.text) else "the text ends too early")
        try:
            value = json.loads(found[0])
        except ValueError:
            self._fail("a string has a bad escape")
        self.position = found.end()
        return value

    def _take(self, character: str) -> bool:
        if not self.text.startswith(character, self.position):
            return False
        self.position += 1
        return True

    def _skip(self) -> None:
        found = _TRIVIA.match(self.text, self.position)
        self.position = found.end() if found else self.position
        if self.text.startswith("/*", self.position):
            self._fail("a comment does not end")

    def _fail(self, what: str) -> NoReturn:
        raise SyntaxFault(what, self.text, self.position)


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
        if entry.replaced is not _UNSET:
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
