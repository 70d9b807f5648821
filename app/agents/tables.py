"""Whole tables that come into a TOML text or go from it, by the line.

tomlkit puts a new table behind its siblings, between another table and the comments above that; here a new
one goes to the end. What these functions give is only proposed: app/agents/formats.py reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.agents.lines import lines

_HEADER = re.compile(r"^[ \t]*\[")
_NOTHING = re.compile(r"^[ \t]*(#.*)?$")

Path = tuple[str, ...]


def replaced(text: str, before: Any, after: Any) -> str:
    """Give `text` less the tables that only `before` has, and with those that only `after` has at its end."""
    left = lines(text if text.endswith("\n") or not text else f"{text}\n")
    for path in _only_in(before, after):
        left = _cut(left, path)
    kept = "".join(left)
    new = "\n".join(_written(path, after) for path in _only_in(after, before))
    return f"{kept}\n{new}" if kept and new else kept + new


def _only_in(one: Any, other: Any, path: Path = ()) -> Iterator[Path]:
    """Give the paths of the tables that `one` has and `other` has not, the outermost of each."""
    for key, value in one.items():
        if isinstance(value, dict):
            if isinstance(other.get(key), dict):
                yield from _only_in(value, other[key], (*path, key))
            else:
                yield (*path, key)


def _cut(text: list[str], path: Path) -> list[str]:
    """Give the lines without a table and those below it, and without the blank line above each."""
    prefix = _header(path)[:-1]
    kept: list[str] = []
    index = 0
    while index < len(text):
        header = re.sub(r"\s", "", text[index].partition("#")[0])
        if header != f"{prefix}]" and not header.startswith(f"{prefix}."):
            kept.append(text[index])
            index += 1
            continue
        if kept and not kept[-1].strip():
            kept.pop()
        index = _end(text, index)
    return kept


def _end(text: list[str], start: int) -> int:
    """Give where a table's lines end: after its last key, so that comments before the next table stay."""
    following = (index for index in range(start + 1, len(text)) if _HEADER.match(text[index]))
    end = next(following, len(text))
    while end - 1 > start and _NOTHING.match(text[end - 1]):
        end -= 1
    return end


def _written(path: Path, root: Any) -> str:
    """Write the table at a path and those below it."""
    import tomlkit

    table = root
    for key in path:
        table = table[key]
    flat = tomlkit.dumps({key: value for key, value in table.items() if not isinstance(value, dict)})
    own = f"{_header(path)}\n{flat}" if flat or not table else ""
    below = [_written((*path, key), root) for key in table if isinstance(table[key], dict)]
    return "\n".join(part for part in (own, *below) if part)


def _header(path: Path) -> str:
    import tomlkit

    return "[" + ".".join(tomlkit.key(name).as_string() for name in path) + "]"
