"""JSON with comments and trailing commas, edited in place: what is not touched keeps its bytes.

`parse` gives a tree of `Object` and `Array` that reads and changes like a dict and a list;
jsonc_writer.render writes the text back with the changes spliced in, in the manner of what stands around
them (indentation, one line or many, line ends, trailing commas). The language is VS Code's and OpenCode's
"JSONC": JSON, `//` and `/* */` comments, and a comma after the last member.
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
UNSET = object()


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
    replaced: Any = UNSET
    deleted: bool = False

    @property
    def current(self) -> Any:
        """The value as changed."""
        return self.value if self.replaced is UNSET else self.replaced


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
    """A JSON object. Of members with the same name the last counts, as everywhere: `named` has that one."""

    added: dict[str, Any] = field(default_factory=dict)
    named: dict[str, Entry] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.added[key] if key in self.added else self.named[key].current

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self.named:
            self.named[key].replaced = value
        else:
            self.added[key] = value

    def __delitem__(self, key: str) -> None:
        if self.added.pop(key, UNSET) is not UNSET:
            return
        del self.named[key]
        for entry in self.entries:
            entry.deleted |= entry.key == key

    def __iter__(self) -> Iterator[str]:
        yield from self.named
        yield from self.added

    def __len__(self) -> int:
        return len(self.named) + len(self.added)


@dataclass(slots=True, eq=False)
class Array(Container, MutableSequence[Any]):
    """A JSON array; grows at its end only."""

    added: list[Any] = field(default_factory=list)

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __iter__(self) -> Iterator[Any]:
        yield from (entry.current for entry in self.kept)
        yield from self.added

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
            entry = self._entry(isinstance(container, Object))
            container.entries.append(entry)
            if isinstance(container, Object):
                container.named[entry.key] = entry
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
