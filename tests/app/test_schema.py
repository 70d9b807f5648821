from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.openai import patterns
from app.openai.formats import Format, fault, unfenced
from app.openai.limits import Cutter, Limits
from app.openai.schema import problem

SMALL = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.5, "", "a", "ab", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    number = st.integers(-2, 3) | st.just(1.5)
    size = st.integers(0, 3)
    several = st.lists(inner, min_size=1, max_size=2)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "enum": st.lists(SMALL, min_size=1, max_size=3),
        "const": SMALL,
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": inner,
        "items": inner,
        "prefixItems": several,
        "minItems": size,
        "maxItems": size,
        "minLength": size,
        "maxLength": size,
        "minProperties": size,
        "maxProperties": size,
        "uniqueItems": st.booleans(),
        "minimum": number,
        "maximum": number,
        "exclusiveMinimum": number,
        "exclusiveMaximum": number,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "pattern": st.sampled_from(["^a", "b$", "[ab]+"]),
        "anyOf": several,
        "oneOf": several,
        "allOf": several,
        "not": inner,
        "$ref": st.sampled_from(["#/$defs/one", "#/$defs/a~1b"]),
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: keywords[name] for name in names})
    )


SCHEMAS = st.recursive(st.booleans() | objects(st.booleans()), objects, max_leaves=4)


@settings(deadline=None)
@given(schema=SCHEMAS, one=SCHEMAS, value=SMALL)
def test_it_says_the_same_as_the_reference(schema: Any, one: Any, value: Any) -> None:
    if isinstance(schema, dict):
        plain = json.loads(json.dumps(one).replace("$ref", "title"))
        schema = {**schema, "$defs": {"one": plain, "a/b": {"type": "string"}}}
    jsonschema = pytest.importorskip("jsonschema")
    reference = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (problem(value, schema) is None) == reference


NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["next"],
            "additionalProperties": False,
        }
    },
}


def test_a_schema_that_contains_itself() -> None:
    assert problem({"next": {"next": None}}, NODE) is None
    assert problem({"next": {"next": 1}}, NODE) == "$.next fits none of anyOf"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"allOf": [{"$ref": "#"}] * 10},
        {"pattern": "(a+)+$"},
        {"pattern": "(a|a)*b"},
        {"pattern": "a*a*a*a*a*a*a*b"},
        {"pattern": "a*a*a*a*b"},
        {"pattern": "^a*a*a*$"},
        {"pattern": "a?" * 40 + "a" * 401},
        {"pattern": "a{0,9}" * 40 + "b"},
        {"pattern": "(?i)[\\x00-\U0010ffff]{9}b"},
        {"allOf": [{"pattern": f"(?!a{{1,{index}}}b)^a*a*" + "c?" * 3} for index in range(1, 500)]},
        {"allOf": [{"pattern": f"^a|{index}" + "c" * 900} for index in range(5000)]},
        {"pattern": "(?:a{1,50}){1,50}b"},
        {"pattern": "("},
        {"pattern": "[" * 5000},
    ],
)
def test_no_schema_keeps_the_server_busy(schema: Any) -> None:
    began = time.perf_counter()
    problem("a" * 400, schema)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("value", "schema", "words"),
    [
        (
            {"a": [1, "x"]},
            {"properties": {"a": {"items": {"type": "integer"}}}},
            "$.a[1] must be of type integer",
        ),
        ({}, {"required": ["name"]}, "$.name is missing"),
        ({"b": 1}, {"properties": {}, "additionalProperties": False}, "$.b is not allowed"),
    ],
)
def test_problems_say_where(value: Any, schema: Any, words: str) -> None:
    assert problem(value, schema) == words


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "somebody.with.a.long.name@department.example.org", True),
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", "somebody.with.a.long.name@department", False),
        (r"^\d{4}-\d{2}-\d{2}$", "2026-11-28", True),
        (r"\\1[)*?]", "\\1*", True),
        (r"(one|two)?three{1,3}", "twothreee", True),
        ("x", "x" * 100_000, True),
        ("a*a*a*b", "a" * 400, None),
        ("(ab)+", "ab", None),
        (r"(a)\1", "aa", None),
        ("(", "(", None),
    ],
)
def test_patterns_that_can_be_looked_for(pattern: str, text: str, expected: bool | None) -> None:
    assert patterns.found(pattern, text)[0] is expected


def test_a_pattern_nobody_can_look_for_speaks_against_nothing() -> None:
    schema = {"patternProperties": {"(x+)+": {"type": "string"}}, "additionalProperties": False}
    assert problem({"y": 1}, schema) is None


@pytest.mark.parametrize(
    ("text", "schema", "good"),
    [
        ("1" + "0" * 400, {"type": "integer"}, True),
        ("1" + "0" * 400, {"multipleOf": 0.1}, True),
        ("1" + "0" * 400, {"maximum": 1.5}, False),
        ("1" + "0" * 400, {"multipleOf": 3}, False),
        ("[" * 900 + "]" * 900, {"type": "array"}, True),
    ],
)
def test_values_of_unusual_size(text: str, schema: Any, good: bool) -> None:
    assert (fault(Format("json_schema", schema, "value"), text) is None) is good


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("```\n[]\n```\n", "[]"),
        (" {} ", "{}"),
        ("```json\n{}\n``` and more", "```json\n{}\n``` and more"),
        ('{"a": "```json\\n```"}', '{"a": "```json\\n```"}'),
    ],
)
def test_fences(text: str, inner: str) -> None:
    assert unfenced(text) == inner


@pytest.mark.parametrize("text", ["", "x", "[]", "1", '{"a": NaN}', '{"a": 1} x', "{" * 5000, '{"a":' * 5000])
def test_no_json_object(text: str) -> None:
    assert fault(Format("json_object"), text)


@given(
    pieces=st.lists(st.text("abEND", max_size=4), max_size=8),
    stops=st.lists(st.text("abEND", min_size=1, max_size=4), max_size=4),
    tokens=st.none() | st.integers(1, 6),
)
def test_cutting_does_not_depend_on_the_pieces(
    pieces: list[str], stops: list[str], tokens: int | None
) -> None:
    cutter = Cutter(Limits(tuple(stops), tokens))
    heard = "".join(cutter.feed(piece) for piece in pieces) + cutter.rest()
    whole = "".join(pieces)
    ends = [whole.find(stop) for stop in stops if stop in whole]
    expected = whole[: min(ends)] if ends else whole
    ending: str | None = "stop" if ends else None
    if tokens is not None and len(expected) > tokens * 4:
        expected, ending = expected[: tokens * 4], "length"
    assert (heard, cutter.ending) == (expected, ending)
