"""Tools that a client offers, its choice among them, and calls of them in a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.cursor.conversation import Tool, ToolCall
from app.openai.errors import invalid, unsupported
from app.openai.fields import flag, need, optional

MAX_TOOLS = 128
CHOICES = ("auto", "none", "required")
NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
# A custom tool takes free text: to the model it is a function with one string.
CUSTOM_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
# Run by OpenAI itself; nothing here could, so the model is not offered them.
HOSTED = frozenset({
    "code_interpreter", "computer_use_preview", "file_search", "image_generation", "local_shell", "mcp",
    "web_search", "web_search_preview",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools offered, what the client wants of the model with them, and which take free text."""

    tools: tuple[Tool, ...] = ()
    wish: str = ""
    custom: frozenset[str] = frozenset()


NO_OFFER = Offer()


def read_offer(data: Mapping[str, Any], *, nested: bool) -> Offer:
    """Read `tools`, `tool_choice` and `parallel_tool_calls`.

    Chat completions put a function's description under `function` (`nested`), Responses beside the type.
    """
    given = optional(data, "tools", list) or []
    if len(given) > MAX_TOOLS:
        raise invalid(f"At most {MAX_TOOLS} tools can be offered.", "tools")
    items = [need(item, dict, f"tools[{index}]") for index, item in enumerate(given)]
    found = [_tool(item, f"tools[{index}]", nested) for index, item in enumerate(items)]
    tools = [tool for tool in found if tool is not None]
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("tools has the same name twice.", "tools")
    custom = frozenset(item["name"] for item in items if not nested and item.get("type") == "custom")
    one = flag(data, "parallel_tool_calls", True) is False
    return _chosen(Offer(tuple(tools), custom=custom), data.get("tool_choice"), one=one)


def _tool(item: Mapping[str, Any], where: str, nested: bool) -> Tool | None:
    kind = item.get("type", "function")
    if not nested and isinstance(kind, str) and kind in HOSTED:
        return None
    if kind != "function" and (nested or kind != "custom"):
        raise unsupported(f"{where}.type {kind!r:.60} is not supported; offer functions.", f"{where}.type")
    if nested:
        where = f"{where}.function"
        item = need(item.get("function"), dict, where)
    name = item.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 128:
        raise invalid(f"{where}.name must be a string of 1 to 128 characters.", f"{where}.name")
    description = optional(item, "description", str, f"{where}.") or ""
    parameters = optional(item, "parameters", dict, f"{where}.") or NO_PARAMETERS
    return Tool(name, description, CUSTOM_PARAMETERS if kind == "custom" else parameters)


def _chosen(offer: Offer, choice: Any, *, one: bool) -> Offer:
    """Narrow `offer` to the client's choice; what cannot be enforced is told to the model."""
    wishes = ["Call at most one tool at a time."] if one and offer.tools else []
    if isinstance(choice, dict):
        return _named(offer, choice, wishes)
    if choice is not None and choice not in CHOICES:
        raise invalid(f"tool_choice must be one of {', '.join(CHOICES)}, or name a tool.", "tool_choice")
    if choice == "required":
        if not offer.tools:
            raise invalid("tool_choice is required, but no tools are offered.", "tool_choice")
        wishes.append("Call at least one of the offered tools instead of answering in text.")
    return NO_OFFER if choice == "none" else Offer(offer.tools, " ".join(wishes), offer.custom)


def _named(offer: Offer, choice: Mapping[str, Any], wishes: list[str]) -> Offer:
    if choice.get("type") == "allowed_tools":
        return Offer(offer.tools, " ".join(wishes), offer.custom)
    inner = choice.get("function")
    name = inner.get("name") if isinstance(inner, dict) else choice.get("name")
    tools = tuple(tool for tool in offer.tools if tool.name == name)
    if not tools:
        raise invalid("tool_choice names a tool that is not offered.", "tool_choice")
    wishes.append(f"Call the tool {name} instead of answering in text.")
    return Offer(tools, " ".join(wishes), offer.custom)


def read_calls(value: Any, where: str) -> tuple[ToolCall, ...]:
    """Read an assistant message's `tool_calls`."""
    if value is None:
        return ()
    calls = need(value, list, where)
    return tuple(_call(item, f"{where}[{index}]") for index, item in enumerate(calls))


def _call(item: Any, where: str) -> ToolCall:
    call = need(item, dict, where)
    if call.get("type", "function") != "function":
        raise unsupported(f"{where}.type must be function.", f"{where}.type")
    function = need(call.get("function"), dict, f"{where}.function")
    return ToolCall(
        need(call.get("id"), str, f"{where}.id"),
        need(function.get("name"), str, f"{where}.function.name"),
        need(function.get("arguments", ""), str, f"{where}.function.arguments"),
    )


def call_objects(calls: Sequence[ToolCall], *, indexed: bool = False) -> list[dict[str, Any]]:
    """Give `tool_calls` of an answer; in a stream each has its index."""
    return [
        {
            **({"index": index} if indexed else {}),
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ]
