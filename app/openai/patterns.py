"""Look for a pattern in a text, unless that could take long: Python's regular expressions try every way."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 1000  # characters of a pattern
MOST = 20  # powers of two of ways to be tried, which is a moment
# What no bound can be told of: a repeated group, a conditional one, flags, references.
UNBOUNDED = re.compile(r"\)[*+{]|\(\?[^:=!<]")
CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
OPEN_END = re.compile(r"[*+]|\{\d*,\}")
RANGE = re.compile(r"\{(\d*),(\d+)\}")
CHOICE = re.compile(r"\||(?<![(*+?}])\?")  # between two; `?` behind a repeat or a parenthesis is none


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, with what its ways of matching depend on.

    `ends` counts the places where it takes as much as it likes, `choices` its other choices in powers of two.
    """

    compiled: re.Pattern[str]
    ends: int
    choices: float

    def ways(self, length: int) -> float:
        """Bound the ways of matching a text of `length` characters, in powers of two."""
        open_ends = self.ends * math.log2(length + 1) - math.lgamma(self.ends + 1) / math.log(2)
        return self.choices + max(open_ends, 0)


def found(pattern: str, text: str) -> tuple[bool | None, float]:
    """Tell whether `pattern` is in `text`, and in how many ways it may have been looked for.

    None where that could take long, and for what is no pattern.
    """
    known = read(pattern)
    if known is None or (ways := known.ways(len(text))) > MOST:
        return None, 0
    return known.compiled.search(text) is not None, 2**ways


@lru_cache(maxsize=256)
def read(pattern: str) -> Pattern | None:
    """Compile a pattern; None if it is none, or its ways cannot be told."""
    if len(pattern) > LONGEST:
        return None
    escaped = set(re.findall(r"\\(.)", pattern, re.DOTALL))
    plain = CLASS.sub("x", re.sub(r"\\.", "x", pattern, flags=re.DOTALL))
    if UNBOUNDED.search(plain) or not escaped.isdisjoint("123456789"):
        return None
    anywhere = not plain.startswith("^") or "|" in plain
    ranges = [max(int(high) - int(low or 0), 0) + 1 for low, high in RANGE.findall(plain)]
    choices = len(CHOICE.findall(plain)) + sum(map(math.log2, ranges))
    try:
        return Pattern(re.compile(pattern), len(OPEN_END.findall(plain)) + anywhere, choices)
    except (re.error, RecursionError, OverflowError):
        return None
