"""Items of a Responses input: messages, calls of tools, their results, reasoning."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from app.cursor.conversation import ToolCall
from app.openai.errors import unsupported
from app.openai.fields import need, optional
from app.openai.messages import ROLES, Message, read_content, read_role
from app.openai.tools import full_name

CALLS = ("function_call", "custom_tool_call")
RESULTS = ("function_call_output", "custom_tool_call_output")
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}


def read_items(items: Sequence[Any], *, tools: bool) -> tuple[Message, ...]:
    """Read the items as messages; what an assistant said and the calls it made beside are one message."""
    messages: list[Message] = []
    for index, item in enumerate(items):
        message = _item(need(item, dict, f"input[{index}]"), f"input[{index}]", tools)
        if message is None:
            continue
        if message.calls and messages and messages[-1].role == "assistant":
            last = messages.pop()
            message = dataclasses.replace(last, calls=last.calls + message.calls)
        messages.append(message)
    return tuple(messages)


def _item(item: dict[str, Any], where: str, tools: bool) -> Message | None:
    kind = item.get("type", "message")
    if kind == "reasoning":
        return None  # a model's own notes, in a form only its maker can read
    if kind == "message":
        return _message(item, where)
    if tools and kind in CALLS:
        return Message("assistant", "", calls=(_call(item, where, str(kind)),))
    if tools and kind in RESULTS:
        text, images = read_content(item.get("output"), f"{where}.output")
        return Message("tool", text, images, call_id=need(item.get("call_id"), str, f"{where}.call_id"))
    raise unsupported(f"{where}.type {kind!r:.60} is not supported here.", f"{where}.type")


def _message(item: dict[str, Any], where: str) -> Message:
    role = read_role(item, where)
    text, images = read_content(item.get("content"), f"{where}.content", pictures=role == "user")
    return Message(ROLES[role], text, images)


def _call(item: dict[str, Any], where: str, kind: str) -> ToolCall:
    space = optional(item, "namespace", str, f"{where}.")
    name = full_name(need(item.get("name"), str, f"{where}.name"), space)
    call_id = need(item.get("call_id"), str, f"{where}.call_id")
    if kind == "function_call":
        return ToolCall(call_id, name, need(item.get("arguments"), str, f"{where}.arguments"))
    text = need(item.get("input"), str, f"{where}.input")
    return ToolCall(call_id, name, msgspec.json.encode({"input": text}).decode())


def new_id(kind: str) -> str:
    """Make an id for an item of a type."""
    return f"{PREFIXES.get(kind, 'item')}_{secrets.token_hex(12)}"


def kept(value: Any) -> tuple[dict[str, Any], ...]:
    """Give a checked input as GET …/input_items shows it: objects with ids, content in parts."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    return tuple(_kept(item) for item in value or ())


def _kept(item: dict[str, Any]) -> dict[str, Any]:
    kind = str(item.get("type", "message"))
    own = item.get("id")
    found = {**item, "type": kind, "id": own if isinstance(own, str) and own else new_id(kind)}
    if kind == "message":
        found |= {"status": "completed", "content": _parts(item)}
    return found


def _parts(item: dict[str, Any]) -> list[Any]:
    content = item.get("content")
    if not isinstance(content, str):
        return list(content or ())
    if item.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]
