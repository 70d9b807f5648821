"""The form an answer must have: text, any JSON object, JSON of a schema. Said to the model, then checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from app.openai import schema as schemas
from app.openai.errors import invalid
from app.openai.fields import deeper, one_of, optional

KINDS = ("text", "json_object", "json_schema")
DEEPEST = 100  # levels of a schema; more than anyone writes
FENCE = re.compile(r"\A\s*```[\w+-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Format:
    """What was asked for. `schema` and `name` are of json_schema only."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    strict: bool = False

    @property
    def is_json(self) -> bool:
        """Whether the answer must be JSON."""
        return self.kind != "text"

    def body(self) -> dict[str, Any]:
        """Give it as a response's `text.format`."""
        if self.kind != "json_schema":
            return {"type": self.kind}
        schema = dict(self.schema)
        return {"type": self.kind, "name": self.name, "schema": schema, "strict": self.strict}


TEXT = Format()


def read_format(data: Mapping[str, Any], name: str, *, nested: bool) -> Format:
    """Read the field `name`; a chat completion's schema is `nested` in json_schema, a response's is not."""
    leaf = name.rpartition(".")[2]
    value = optional(data, leaf, dict, name[: -len(leaf)])
    if value is None:
        return TEXT
    kind = one_of(value.get("type"), KINDS, f"{name}.type")
    if kind == "text":
        return TEXT
    if kind == "json_object":
        return Format("json_object")
    if nested:
        name = f"{name}.json_schema"
        inner = value.get("json_schema")
        if not isinstance(inner, dict):
            raise invalid(f"{name} must be an object.", name)
        value = inner
    return _of_schema(value, name)


def _of_schema(value: Mapping[str, Any], where: str) -> Format:
    title = value.get("name")
    if not isinstance(title, str) or not title:
        raise invalid(f"{where}.name must be a string.", f"{where}.name")
    schema = optional(value, "schema", dict, f"{where}.")
    strict = optional(value, "strict", bool, f"{where}.")
    if schema is not None and deeper(schema, DEEPEST):
        raise invalid(f"{where}.schema is nested too deeply.", f"{where}.schema")
    return Format("json_schema", schema or {}, title, bool(strict))


def demand(wanted: Format) -> str:
    """Say to the model what form the answer must have; "" for text."""
    if wanted.kind == "text":
        return ""
    text = "Answer with one JSON object and nothing else: no code fence, no words before or after it."
    if wanted.kind == "json_object" or not wanted.schema:
        return text
    schema = msgspec.json.encode(wanted.schema).decode()
    text = text.replace("one JSON object", "one JSON value")
    return f"{text} It must be valid against this JSON schema ({wanted.name}):\n{schema}"


def unfenced(text: str) -> str:
    """Take off a code fence around all of `text`, and white space around it."""
    found = FENCE.match(text)
    return (found[1] if found else text).strip()


def fault(wanted: Format, text: str) -> str | None:
    """Say why `text` is not what was `wanted`, or None if it is."""
    if wanted.kind == "text":
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        return f"it is not valid JSON ({str(error)[:100]})"
    if wanted.kind == "json_object":
        return None if isinstance(value, dict) else "it is not a JSON object"
    return schemas.problem(value, wanted.schema)


def correction(problem: str) -> str:
    """Say to the model that its answer will not do."""
    return (
        f"That answer is not what was asked for: {problem}. "
        "Give the whole answer again, corrected, as JSON only."
    )
