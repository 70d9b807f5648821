"""Chat completions: a request's body checked and read. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.openai.errors import invalid, unsupported
from app.openai.fields import decode_object, flag, need, only_one, optional, refuse
from app.openai.formats import TEXT, Format, demand, read_format
from app.openai.limits import NO_LIMITS, Limits, read_limits, wishes
from app.openai.messages import (
    ROLES,
    Message,
    need_few_images,
    nothing_to_answer,
    read_content,
    read_role,
)
from app.openai.tools import NO_OFFER, Offer, read_calls, read_offer

# What is not one of the values that ask for nothing is refused.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "logprobs": (None, False),
    "top_logprobs": (None,),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "functions": (None,),
    "function_call": (None,),
    "background": (None, False),
}
NAMED = {"top_logprobs": "logprobs", "function_call": "functions"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, in either dialect. `model` is as it was spelled."""

    model: str | None
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    format: Format = TEXT
    limits: Limits = NO_LIMITS
    offer: Offer = NO_OFFER

    def constraints(self) -> str:
        """Give what the answer's form must be, as text for the model; "" if nothing was asked for."""
        lines = [demand(self.format), *wishes(self.limits), self.offer.wish]
        return "\n".join(line for line in lines if line)


def parse(body: bytes) -> Request:
    """Read and check the body of POST /v1/chat/completions. Raises ApiError."""
    data = decode_object(body)
    only_one(data)
    refuse(data, UNSUPPORTED, NAMED)
    messages = _messages(data.get("messages"))
    need_few_images(messages)
    return Request(
        model=optional(data, "model", str),
        messages=messages,
        stream=flag(data, "stream"),
        include_usage=include_usage(data),
        format=read_format(data, "response_format", nested=True),
        limits=read_limits(data, "max_completion_tokens", "max_tokens"),
        offer=read_offer(data, nested=True),
    )


def include_usage(data: Mapping[str, Any]) -> bool:
    """Whether `stream_options` asks for a chunk with the usage."""
    options = optional(data, "stream_options", dict) or {}
    return bool(optional(options, "include_usage", bool, "stream_options."))


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise nothing_to_answer("messages")
    return tuple(_message(item, f"messages[{index}]") for index, item in enumerate(value))


def _message(item: Any, where: str) -> Message:
    item = need(item, dict, where)
    if item.get("role") == "function" or item.get("function_call") is not None:
        raise unsupported("functions are not supported; offer tools.", "functions")
    role = read_role(item, where, ("tool",))
    if role == "tool":
        return _result(item, where)
    if role != "assistant":
        text, images = read_content(item.get("content"), f"{where}.content", pictures=role == "user")
        return Message(ROLES[role], text, images)
    calls = read_calls(item.get("tool_calls"), f"{where}.tool_calls")
    return Message("assistant", _said(item, where, called=bool(calls)), calls=calls)


def _said(item: Mapping[str, Any], where: str, *, called: bool) -> str:
    """Read what an assistant said; it may be nothing if it called a tool or refused."""
    content = item.get("content")
    if content is not None:
        return read_content(content, f"{where}.content", pictures=False)[0]
    refusal = optional(item, "refusal", str, f"{where}.")
    if refusal is None and not called:
        raise invalid(f"{where}.content must be a string or an array of parts.", f"{where}.content")
    return refusal or ""


def _result(item: Mapping[str, Any], where: str) -> Message:
    text, images = read_content(item.get("content"), f"{where}.content")
    call_id = need(item.get("tool_call_id"), str, f"{where}.tool_call_id")
    return Message("tool", text, images, call_id=call_id)
