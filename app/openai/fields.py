"""Read fields of a request's body: the value if it is what it should be, else the error that names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from app.openai.errors import invalid, unsupported

T = TypeVar("T")
DEEPEST = 200  # levels of nesting; what goes deeper is not a request
WORDS: dict[type, str] = {
    str: "a string", bool: "a boolean", dict: "an object", list: "an array", int: "an integer",
}  # fmt: skip


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a request's body, which must be a JSON object."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("Invalid JSON in request body") from None
    if not isinstance(data, dict):
        raise invalid("The request body must be a JSON object.", "body")
    if body.count(b"{") + body.count(b"[") > DEEPEST and deeper(data, DEEPEST):
        raise invalid(f"The request body is nested deeper than {DEEPEST} levels.", "body")
    return data


def deeper(data: Any, levels: int) -> bool:
    """Whether `data` has more than so many levels."""
    level = [data]
    for _ in range(levels):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def need(value: Any, kind: type[T], where: str) -> T:
    """Give `value` if it is a `kind`; `where` names it in the error."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise invalid(f"{where} must be {WORDS[kind]}.", where)
    return value


def optional(data: Mapping[str, Any], name: str, kind: type[T], where: str = "") -> T | None:
    """Give the field `name`, or None if it is absent or null. `where` prefixes the name in the error."""
    value = data.get(name)
    return None if value is None else need(value, kind, where + name)


def flag(data: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """Give a boolean field, or `default` if it is absent or null."""
    value = optional(data, name, bool)
    return default if value is None else value


def number(data: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    """Give a number from `low` to `high`, or None."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(f"{name} must be a number from {low:g} to {high:g}.", name)
    return value


def positive(data: Mapping[str, Any], name: str) -> int | None:
    """Give a whole number of at least 1, or None."""
    value = optional(data, name, int)
    if value is not None and value < 1:
        raise invalid(f"{name} must be at least 1.", name)
    return value


def one_of(value: Any, choices: Collection[str], where: str) -> str:
    """Give `value` if it is among `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    raise invalid(f"{where} must be one of {', '.join(choices)}.", where)


def refuse(
    data: Mapping[str, Any], nothing: Mapping[str, tuple[object, ...]], named: Mapping[str, str]
) -> None:
    """Refuse each field of `nothing` that is not one of the values listed there, which ask for nothing.

    `named` gives the `param` where it isn't the field's own name.
    """
    for name, values in nothing.items():
        value = data.get(name)
        if not any(value is other or (value == other and type(value) is type(other)) for other in values):
            raise unsupported(f"{name} is not supported.", named.get(name, name))


def only_one(data: Mapping[str, Any], name: str = "n") -> None:
    """Refuse to give several answers."""
    value = data.get(name)
    if value is not None and (value != 1 or isinstance(value, bool)):
        raise unsupported(f"Only {name}=1 is supported.", name)
