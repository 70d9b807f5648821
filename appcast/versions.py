"""Sparkle's order of versions, exactly, traps included.

A client picks its update with `SUStandardVersionComparator`; whoever writes a feed has to predict it. The
rules (Sparkle 2.9):

1. A version is cut into runs of digits, runs of other letters, and single separators: `.`, white space,
   punctuation. Reading stops at the first `-` that is not the first character.
2. Both versions' leading digits-and-periods are padded to the same length with `.0`.
3. Parts are compared one by one: numbers by value, letters by their UTF-16 units; all separators are alike. A
   number or separator beats letters, a number beats a separator.
4. If one is longer, it is older where its next part is letters (`1.0b < 1.0`), newer otherwise.

The order is total and free of surprises only on plain dotted numbers, which is what `is_safe` asks for. Of
`-1` and `(1`, a dash in front against punctuation, each is older than the other.
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from itertools import zip_longest
from typing import Literal, TypeVar

Order = Literal[-1, 0, 1]
_Comparable = TypeVar("_Comparable", int, bytes, tuple[int, ...])

_SAFE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")
_DOTTED = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_DIGITS = re.compile(r"[0-9]*")
_LONGEST = 2**63 - 1  # Sparkle reads numbers with longLongValue, which saturates and knows ASCII digits only
_WHITE = "\t\n\v\f\r\x85"


class _Kind(enum.Enum):
    NUMBER = enum.auto()
    LETTERS = enum.auto()
    PERIOD = enum.auto()
    SEPARATOR = enum.auto()
    DASH = enum.auto()


_SEPARATORS = (_Kind.PERIOD, _Kind.SEPARATOR)


def is_safe(version: str) -> bool:
    """Tell whether `version` may be a CFBundleVersion: one to four dotted decimal numbers, nothing else."""
    return _SAFE.fullmatch(version) is not None


def compare(a: str, b: str) -> Order:
    """Order two versions as Sparkle would: -1 if `a` is older, 1 if newer, 0 if Sparkle cannot tell."""
    plain, plain_other = _numbers(a), _numbers(b)
    if plain is not None and plain_other is not None:
        return _order(plain, plain_other)
    left, right = _padded(_split(a), _split(b))
    for one, other in zip(left, right, strict=False):
        order = _compare_parts(one, other)
        if order:
            return order
    return _compare_lengths(left, right)


key = functools.cmp_to_key(compare)
"""For `sorted` and `max`: only meaningful among safe versions."""


@functools.lru_cache(maxsize=32768)
def _numbers(version: str) -> tuple[int, ...] | None:
    """Return the numbers of a plain dotted version, without final zeros, as padding makes them equal.

    The rules come down to comparing these, and nearly all versions are plain. None for others.
    """
    if _DOTTED.fullmatch(version) is None:
        return None
    numbers = [_number(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@functools.lru_cache(maxsize=4096)
def _split(version: str) -> tuple[str, ...]:
    parts: list[str] = []
    previous: _Kind | None = None
    for character in version:
        kind = _kind(character)
        if kind is _Kind.DASH and parts:
            break
        if kind is previous and kind not in _SEPARATORS:
            parts[-1] += character
        else:
            parts.append(character)
        previous = kind
    return tuple(parts)


def _kind(part: str) -> _Kind:
    first = part[0]
    if "0" <= first <= "9":
        return _Kind.NUMBER
    if first == ".":
        return _Kind.PERIOD
    if first == "-":
        return _Kind.DASH
    if ord(first) > 0xFFFF:
        return _Kind.LETTERS  # Sparkle sees half of a surrogate pair
    category = unicodedata.category(first)
    if category == "Nd":
        return _Kind.NUMBER
    return _Kind.SEPARATOR if category[0] in "PZ" or first in _WHITE else _Kind.LETTERS


def _padded(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give both the same number of leading number and period parts: `1.0.0` and `1.1` become comparable."""
    head_a, head_b = _head(a), _head(b)
    pad_a = tuple(_zero(part) for part in b[head_a:head_b])
    pad_b = tuple(_zero(part) for part in a[head_b:head_a])
    return a[:head_a] + pad_a + a[head_a:], b[:head_b] + pad_b + b[head_b:]


def _head(parts: tuple[str, ...]) -> int:
    kinds = (_kind(part) for part in parts)
    stops = (at for at, kind in enumerate(kinds) if kind not in (_Kind.NUMBER, _Kind.PERIOD))
    return next(stops, len(parts))


def _zero(part: str) -> str:
    return "." if part == "." else "0"


def _compare_parts(one: str, other: str) -> Order:
    kind, against = _kind(one), _kind(other)
    if kind is against or (kind in _SEPARATORS and against in _SEPARATORS):
        if kind is _Kind.NUMBER:
            return _order(_number(one), _number(other))
        if kind is _Kind.LETTERS:
            return _order(_units(one), _units(other))
        return 0
    if _Kind.LETTERS in (kind, against):
        return 1 if against is _Kind.LETTERS else -1
    return 1 if kind is _Kind.NUMBER else -1


def _number(part: str) -> int:
    found = _DIGITS.match(part)
    digits = found[0].lstrip("0") if found else ""
    return min(int(digits), _LONGEST) if 0 < len(digits) < 20 else _LONGEST if digits else 0


def _units(letters: str) -> bytes:
    return letters.encode("utf-16-be", "surrogatepass")


def _compare_lengths(left: tuple[str, ...], right: tuple[str, ...]) -> Order:
    for one, other in zip_longest(left, right):
        if one is None:
            return 1 if _kind(other) is _Kind.LETTERS else -1
        if other is None:
            return -1 if _kind(one) is _Kind.LETTERS else 1
    return 0


def _order(a: _Comparable, b: _Comparable) -> Order:
    if a == b:
        return 0
    return -1 if a < b else 1
