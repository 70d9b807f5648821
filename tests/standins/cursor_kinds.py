"""What a backend may ask a local agent to do, as the installed SDK says: a new one is tried with its own.

The descriptors stand in its bundled file as `X.fields=….newFieldList(()=>[{no:2,name:"shell_args",…}])`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from tests.standins.cursor_wire import block, double, integer

EXEC = "agent.v1.ExecServerMessage"
BUNDLED = "@cursor/sdk/dist/bundled/index.js"
FIELD = re.compile(r"\{no:(\d+),name:\"(\w+)\",kind:\"(\w+)\",T:([\w$.()]+)([^}]*)\}")
DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Field:
    number: int
    name: str
    kind: str  # scalar, message, enum
    type: str  # the number of a scalar's type, or the variable of a message's
    oneof: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A request kind and what it says if nothing better is known: `arguments` with marks to be filled in."""

    number: int
    name: str
    fields: tuple[tuple[Field, object], ...]  # a message's fields in turn as a tuple of the same


class Descriptors:
    def __init__(self, node_modules: Path) -> None:
        self.source = (node_modules / BUNDLED).read_text("utf-8")

    @cached_property
    def exec_fields(self) -> tuple[Field, ...]:
        variable = re.search(rf'([\w$]+)\.typeName="{re.escape(EXEC)}"', self.source)
        assert variable is not None, f"the SDK does not describe {EXEC}"
        return tuple(field for field in self.fields(variable[1]) if field.oneof)

    def fields(self, variable: str) -> tuple[Field, ...]:
        pattern = rf"(?<![\w$]){re.escape(variable)}\.fields=[\w$]+\.util\.newFieldList\(\(\)=>\[(.*?)\]\)"
        found = re.search(pattern, self.source, re.S)
        rows = FIELD.findall(found[1]) if found else []
        return tuple(
            Field(int(number), name, kind, of, "oneof:" in rest) for number, name, kind, of, rest in rows
        )

    def tree(self, variable: str, depth: int = DEEPEST) -> tuple[tuple[Field, object], ...]:
        if depth == 0:
            return ()
        fields = self.fields(variable)
        return tuple(
            (field, self.tree(field.type, depth - 1) if field.kind == "message" else None) for field in fields
        )

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(Kind(field.number, field.name, self.tree(field.type)) for field in self.exec_fields)


@cache
def read(node_modules: Path) -> tuple[Kind, ...]:
    """Every kind of request that the SDK in `node_modules` knows."""
    return Descriptors(node_modules).kinds()


def guess(kind: Kind, *, path: str, command: str, url: str) -> bytes:
    """Arguments for a kind nothing is known of: paths, commands and addresses where their names say so."""

    def words(name: str) -> str:
        if re.search(r"url|uri", name):
            return url
        if re.search(r"command|script|code|program|executable", name):
            return command
        return path if re.search(r"path|file|dir|folder|location", name) else "x"

    def message(fields: tuple[tuple[Field, object], ...]) -> bytes:
        return b"".join(value(field, inner) for field, inner in fields)

    def value(field: Field, inner: object) -> bytes:
        if isinstance(inner, tuple):
            return block(field.number, message(inner)) if inner else b""
        if field.kind == "enum" or field.type not in ("1", "2", "9", "12"):
            return integer(field.number, 1) if field.type not in ("6", "7", "15", "16") else b""
        if field.type == "1":
            return double(field.number, 1000.0)
        return block(field.number, words(field.name)) if field.type in ("9", "12") else b""

    return message(kind.fields)
