"""Texts line by line, and where two of them differ: also where they are long."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Sequence
from typing import Literal

Opcode = tuple[Literal["replace", "delete", "insert", "equal"], int, int, int, int]
"""As `difflib` has it: the lines i1 to i2 of the one text become those from j1 to j2 of the other."""


def lines(text: str) -> list[str]:
    """Part a text at its line feeds only, which stay; `splitlines` would part it at ten other characters."""
    return list(io.StringIO(text, newline="\n"))


def differences(one: Sequence[str], other: Sequence[str]) -> Iterator[Opcode]:
    """Give the differences from `one` to `other`, in order.

    What both begin and end with is not compared any further: on many lines that are alike, `difflib` takes a
    time that grows with the square of their number, and a change of ours is small.
    """
    head = _alike(one, other)
    tail = _alike(one[head:][::-1], other[head:][::-1])
    ends = len(one) - tail, len(other) - tail
    if head:
        yield "equal", 0, head, 0, head
    inner = difflib.SequenceMatcher(None, one[head : ends[0]], other[head : ends[1]], autojunk=False)
    for tag, i1, i2, j1, j2 in inner.get_opcodes():
        yield tag, head + i1, head + i2, head + j1, head + j2
    if tail:
        yield "equal", ends[0], len(one), ends[1], len(other)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the lines that both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))
