"""Responses: a request's body checked and read. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.openai.chat import Request
from app.openai.errors import invalid, unsupported
from app.openai.fields import decode_object, flag, number, one_of, only_one, optional, refuse
from app.openai.formats import read_format
from app.openai.items import kept, read_items
from app.openai.limits import Limits, read_limits
from app.openai.messages import Message, need_few_images
from app.openai.tools import NO_OFFER, Offer, read_offer

# What is not one of the values that ask for nothing is refused.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "background": (None, False),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "conversation": (None,),
    "prompt": (None,),
    "functions": (None,),
}
NAMED = {"top_logprobs": "logprobs"}
MAX_METADATA = 16
# Seen by everyone who starts Codex before this is switched on.
TOOLS_OFF = (
    "Tools on /v1/responses are switched off. Switch them on in API for Cursor's settings, or start it with "
    "API_FOR_CURSOR_RESPONSES_TOOLS=1. Chat completions always have them."
)


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """What a client asks for. `asked.messages` is this request's input only; what went before is kept.

    `items` is that input as GET …/input_items gives it, `echo` what the response repeats of the request.
    """

    asked: Request
    instructions: str | None = None
    previous: str | None = None
    store: bool = True
    items: tuple[dict[str, Any], ...] = ()
    echo: Mapping[str, Any] = field(default_factory=dict)


def parse(body: bytes, *, tools: bool = False, counting: bool = False) -> ResponseRequest:
    """Read and check the body of POST /v1/responses; `tools` lets tools in. Raises ApiError.

    `counting` reads POST /v1/responses/input_tokens, whose input may be missing.
    """
    data = decode_object(body)
    refuse(data, UNSUPPORTED, NAMED)
    only_one(data)
    offer = read_offer(data, nested=False) if tools else _no_tools(data)
    messages = _input(data.get("input"), tools=tools, counting=counting)
    need_few_images(messages)
    text = optional(data, "text", dict) or {}
    limits = read_limits(data, "max_output_tokens")
    asked = Request(
        model=optional(data, "model", str),
        messages=messages,
        stream=flag(data, "stream"),
        format=read_format(text, "text.format", nested=False),
        limits=limits,
        offer=offer,
    )
    return ResponseRequest(
        asked=asked,
        instructions=optional(data, "instructions", str),
        previous=optional(data, "previous_response_id", str),
        store=flag(data, "store", True),
        items=kept(data.get("input")),
        echo=_echo(data, asked, limits, offer),
    )


def _no_tools(data: Mapping[str, Any]) -> Offer:
    if data.get("tools") not in (None, []):
        raise unsupported(TOOLS_OFF, "tools")
    if data.get("tool_choice") not in (None, "auto", "none"):
        raise unsupported("tool_choice is not supported here.", "tool_choice")
    flag(data, "parallel_tool_calls")
    return NO_OFFER


def _input(value: Any, *, tools: bool, counting: bool) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message("user", value),)
    if value is None and counting:
        return ()
    if not isinstance(value, list) or not value:
        raise invalid("input must be a string or an array with at least one item.", "input")
    messages = read_items(value, tools=tools)
    if not messages:
        raise invalid("input has nothing to answer.", "input")
    return messages


def _echo(data: Mapping[str, Any], asked: Request, limits: Limits, offer: Offer) -> dict[str, Any]:
    """Give the fields of the response that repeat the request's, all checked."""
    number(data, "max_tool_calls", 0, 1_000_000)
    optional(data, "reasoning", dict)
    truncation = data.get("truncation")
    return {
        "max_output_tokens": limits.tokens,
        "metadata": _metadata(optional(data, "metadata", dict) or {}),
        "parallel_tool_calls": flag(data, "parallel_tool_calls", True),
        "temperature": 1.0 if limits.temperature is None else limits.temperature,
        "text": {"format": asked.format.body()},
        "tool_choice": "auto" if data.get("tool_choice") is None else data["tool_choice"],
        "tools": data.get("tools") or [],
        "top_p": 1.0 if limits.top_p is None else limits.top_p,
        "truncation": "disabled"
        if truncation is None
        else one_of(truncation, ("auto", "disabled"), "truncation"),
        "user": optional(data, "user", str),
    }


def _metadata(value: dict[str, Any]) -> dict[str, str]:
    if len(value) > MAX_METADATA or not all(isinstance(item, str) for item in value.values()):
        raise invalid(f"metadata must have up to {MAX_METADATA} fields, all strings.", "metadata")
    return value
