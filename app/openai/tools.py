"""Tools that a client offers, its choice among them, and calls of them in a conversation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
# Run by OpenAI itself; nothing here could, so the model is not offered them. (What tool_search would find is
# offered at once.)
HOSTED = frozenset({
    "code_interpreter", "computer_use_preview", "file_search", "image_generation", "local_shell", "mcp",
    "programmatic_tool_calling", "tool_search", "web_search", "web_search_2025_08_26", "web_search_preview",
    "web_search_preview_2025_03_11",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """How the client knows a tool that the model knows otherwise: in a namespace, or taking `free` text."""

    name: str
    namespace: str | None = None
    free: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools offered, what the client wants of the model with them, and whence some of them are.

    `origins` is by the name that the model is given; tools that both sides know alike are not in it.
    """

    tools: tuple[Tool, ...] = ()
    wish: str = ""
    origins: Mapping[str, Origin] = field(default_factory=dict)


NO_OFFER = Offer()


def read_offer(data: Mapping[str, Any], *, nested: bool) -> Offer:
    """Read `tools`, `tool_choice` and `parallel_tool_calls`.

    Chat completions put a function's description under `function` (`nested`), Responses beside the type.
    """
    given = optional(data, "tools", list) or []
    if len(given) > MAX_TOOLS:
        raise invalid(f"At most {MAX_TOOLS} tools can be offered.", "tools")
    items = [need(item, dict, f"tools[{index}]") for index, item in enumerate(given)]
    found = [pair for index, item in enumerate(items) for pair in _offered(item, f"tools[{index}]", nested)]
    tools = tuple(tool for tool, _ in found)
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid("tools has the same name twice.", "tools")
    origins = {tool.name: origin for tool, origin in found if origin != Origin(tool.name)}
    one = flag(data, "parallel_tool_calls", True) is False
    return _chosen(Offer(tools, origins=origins), data.get("tool_choice"), one=one)


def _offered(item: Mapping[str, Any], where: str, nested: bool) -> Iterator[tuple[Tool, Origin]]:
    kind = item.get("type", "function")
    if nested or kind not in ("namespace", *HOSTED):
        tool = _tool(item, where, nested)
        yield tool, Origin(tool.name, free=kind == "custom")
    elif kind == "namespace":
        yield from _namespace(item, where)


def _namespace(item: Mapping[str, Any], where: str) -> Iterator[tuple[Tool, Origin]]:
    """Read tools that share a namespace; to the model it is the beginning of their names."""
    space = need(item.get("name"), str, f"{where}.name")
    about = optional(item, "description", str, f"{where}.")
    for index, inner in enumerate(need(item.get("tools"), list, f"{where}.tools")):
        place = f"{where}.tools[{index}]"
        tool = _tool(need(inner, dict, place), place, nested=False)
        origin = Origin(tool.name, space, free=inner.get("type") == "custom")
        described = tool.description if index or not about else f"{about}\n\n{tool.description}"
        yield dataclasses.replace(tool, name=full_name(tool.name, space), description=described), origin


def full_name(name: str, namespace: str | None) -> str:
    """Give the name that the model knows a tool by."""
    return f"{namespace}__{name}" if namespace else name


def _tool(item: Mapping[str, Any], where: str, nested: bool) -> Tool:
    kind = item.get("type", "function")
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
    return NO_OFFER if choice == "none" else dataclasses.replace(offer, wish=" ".join(wishes))


def _named(offer: Offer, choice: Mapping[str, Any], wishes: list[str]) -> Offer:
    if choice.get("type") == "allowed_tools":
        return dataclasses.replace(offer, wish=" ".join(wishes))
    inner = choice.get("function")
    name = inner.get("name") if isinstance(inner, dict) else choice.get("name")
    tools = tuple(tool for tool in offer.tools if tool.name == name)
    if not tools:
        raise invalid("tool_choice names a tool that is not offered.", "tool_choice")
    wishes.append(f"Call the tool {name} instead of answering in text.")
    return dataclasses.replace(offer, tools=tools, wish=" ".join(wishes))


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
