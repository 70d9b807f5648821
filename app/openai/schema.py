"""Check a value against a JSON schema: the keywords that structured output knows, and the plain ones beside.

Unknown keywords allow everything, as JSON Schema says (https://json-schema.org/draft/2020-12). `format` is
not checked, and neither is a `pattern` that could take long on a long text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.openai import patterns

DEEPEST = 120  # levels of schema and value; also what ends a $ref that leads to itself
# Schemas applied to values until checking ends, since alternatives that nest double each time: some to begin
# with, some for each value within the value, and never more than the last.
STEPS, STEPS_EACH, MOST_STEPS = 5_000, 100, 300_000
WAYS_A_STEP = 50  # ways of looking for a pattern that take about as long as a step

Problems = Iterator[str]
Schema = Mapping[str, Any]


@dataclass(slots=True)
class Walk:
    """One check from its start: the whole schema, for references, and how many steps are left."""

    whole: Any
    left: int


def problem(value: Any, schema: Any) -> str | None:
    """Say what is wrong with `value`, and where, or None if `schema` allows it."""
    steps = min(STEPS + STEPS_EACH * _size(value), MOST_STEPS)
    return next(_check(value, schema, Walk(schema, steps), "$", DEEPEST), None)


def _size(value: Any) -> int:
    """Count the values within `value`."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inner))


def _check(value: Any, schema: Any, walk: Walk, where: str, depth: int) -> Problems:
    if schema is False:
        yield f"{where} is not allowed"
    if not isinstance(schema, dict) or walk.left <= 0:
        return
    walk.left -= 1
    if depth == 0:
        yield f"{where} is nested too deeply"
        return
    for keywords, check in CHECKS:
        if not keywords.isdisjoint(schema):
            yield from check(value, schema, walk, where, depth - 1)


def _fits(value: Any, schema: Any, walk: Walk, depth: int) -> bool:
    return next(_check(value, schema, walk, "", depth), None) is None


def _is(value: Any, kind: object) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return _number(value) and bool(value % 1 == 0)
        case "number":
            return _number(value)
        case "string" | "array" | "object":
            return isinstance(value, {"string": str, "array": list, "object": dict}[kind])
        case _:
            return True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(_is(value, kind) for kind in kinds):
        yield f"{where} must be of type {' or '.join(map(str, kinds))}"


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 equals 1.0, and neither equals true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(item, other[name]) for name, item in one.items())
    return bool(one == other)


def _enum(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    choices = schema["enum"]
    if isinstance(choices, list) and not any(_same(value, choice) for choice in choices):
        yield f"{where} must be one of the values in enum"


def _const(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    if not _same(value, schema["const"]):
        yield f"{where} must be the constant"


def _object(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    """Check properties, patternProperties and additionalProperties, which depend on each other."""
    if not isinstance(value, dict):
        return
    named = _mapping(schema.get("properties"))
    by_pattern = _mapping(schema.get("patternProperties"))
    for name, item in value.items():
        inner = f"{where}.{name[:60]}"
        found = {pattern: _found(pattern, name, walk) for pattern in by_pattern}
        parts = [by_pattern[pattern] for pattern, fits in found.items() if fits]
        if name in named:
            parts.insert(0, named[name])
        elif not parts and None not in found.values():
            parts = [schema.get("additionalProperties", True)]
        for part in parts:
            yield from _check(item, part, walk, inner, depth)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _required(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    names = schema["required"]
    if isinstance(value, dict) and isinstance(names, list):
        for name in names:
            if isinstance(name, str) and name not in value:
                yield f"{where}.{name[:60]} is missing"


def _items(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    if not isinstance(value, list):
        return
    prefix = schema.get("prefixItems")
    first = prefix if isinstance(prefix, list) else []
    for index, item in enumerate(value):
        part = first[index] if index < len(first) else schema.get("items", True)
        yield from _check(item, part, walk, f"{where}[{index}]", depth)


def _unique(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    if schema["uniqueItems"] is True and isinstance(value, list) and len(value) <= 1000:
        for index, item in enumerate(value):
            if any(_same(item, other) for other in value[:index]):
                yield f"{where}[{index}] is there twice"


def _any_of(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    parts = schema["anyOf"]
    if isinstance(parts, list) and not any(_fits(value, part, walk, depth) for part in parts):
        yield f"{where} fits none of anyOf"


def _one_of(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    parts = schema["oneOf"]
    if isinstance(parts, list) and sum(_fits(value, part, walk, depth) for part in parts) != 1:
        yield f"{where} must fit exactly one of oneOf"


def _all_of(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    for part in schema["allOf"] if isinstance(schema["allOf"], list) else ():
        yield from _check(value, part, walk, where, depth)


def _not(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    if _fits(value, schema["not"], walk, depth):
        yield f"{where} is what it must not be"


def _ref(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    yield from _check(value, _target(schema["$ref"], walk), walk, where, depth)


def _target(reference: Any, walk: Walk) -> Any:
    """Follow a JSON pointer within the schema; what leads elsewhere or nowhere allows everything."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    found: Any = walk.whole
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return True
        found = found[name]
    return found


def _bound(keyword: str, fits: Callable[[Any, Any], bool], words: str) -> Check:
    """Make the check of a keyword that bounds a number."""

    def check(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
        limit = schema[keyword]
        if _number(value) and _number(limit) and not fits(value, limit):
            yield f"{where} must be {words} {limit}"

    return check


def _length(keyword: str, kind: type, most: bool) -> Check:
    """Make the check of a keyword that bounds a length."""

    def check(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
        limit = schema[keyword]
        if isinstance(value, kind) and _number(limit):
            size = len(value)  # type: ignore[arg-type]
            if size > limit if most else size < limit:
                yield f"{where} must have at {'most' if most else 'least'} {limit} elements or characters"

    return check


def _multiple(value: float, step: float) -> bool:
    if step <= 0:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        share = value / step
    except OverflowError:  # a whole number that no fraction is near enough to
        return True
    return abs(share - round(share)) < 1e-9 if abs(share) < 1e15 else True


def _pattern(value: Any, schema: Schema, walk: Walk, where: str, depth: int) -> Problems:
    pattern = schema["pattern"]
    if isinstance(value, str) and isinstance(pattern, str) and _found(pattern, value, walk) is False:
        yield f"{where} must match the pattern {pattern[:100]}"


def _found(pattern: str, text: str, walk: Walk) -> bool | None:
    found, ways = patterns.found(pattern, text)
    walk.left -= int(ways / WAYS_A_STEP) + len(pattern) // 2  # to read it takes time, too
    return found


Check = Callable[[Any, Schema, Walk, str, int], Problems]
CHECKS: tuple[tuple[frozenset[str], Check], ...] = (
    (frozenset({"$ref"}), _ref),
    (frozenset({"type"}), _type),
    (frozenset({"enum"}), _enum),
    (frozenset({"const"}), _const),
    (frozenset({"required"}), _required),
    (frozenset({"properties", "patternProperties", "additionalProperties"}), _object),
    (frozenset({"items", "prefixItems"}), _items),
    (frozenset({"minItems"}), _length("minItems", list, False)),
    (frozenset({"maxItems"}), _length("maxItems", list, True)),
    (frozenset({"minLength"}), _length("minLength", str, False)),
    (frozenset({"maxLength"}), _length("maxLength", str, True)),
    (frozenset({"minProperties"}), _length("minProperties", dict, False)),
    (frozenset({"maxProperties"}), _length("maxProperties", dict, True)),
    (frozenset({"uniqueItems"}), _unique),
    (frozenset({"pattern"}), _pattern),
    (frozenset({"minimum"}), _bound("minimum", lambda value, limit: bool(value >= limit), "at least")),
    (frozenset({"maximum"}), _bound("maximum", lambda value, limit: bool(value <= limit), "at most")),
    (
        frozenset({"exclusiveMinimum"}),
        _bound("exclusiveMinimum", lambda value, limit: bool(value > limit), "more than"),
    ),
    (
        frozenset({"exclusiveMaximum"}),
        _bound("exclusiveMaximum", lambda value, limit: bool(value < limit), "less than"),
    ),
    (frozenset({"multipleOf"}), _bound("multipleOf", _multiple, "a multiple of")),
    (frozenset({"anyOf"}), _any_of),
    (frozenset({"oneOf"}), _one_of),
    (frozenset({"allOf"}), _all_of),
    (frozenset({"not"}), _not),
)
