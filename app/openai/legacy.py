"""Completions of the old kind: a prompt in, its continuation out."""

from __future__ import annotations

from typing import Any

from app.openai.chat import Request, include_usage
from app.openai.errors import invalid, unsupported
from app.openai.fields import decode_object, flag, only_one, optional, refuse
from app.openai.limits import read_limits
from app.openai.messages import Message

UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "logprobs": (None, False),
    "echo": (None, False),
    "suffix": (None, ""),
    "background": (None, False),
}


def parse(body: bytes) -> Request:
    """Read and check the body of POST /v1/completions. Raises ApiError."""
    data = decode_object(body)
    only_one(data)
    only_one(data, "best_of")
    refuse(data, UNSUPPORTED, {})
    return Request(
        model=optional(data, "model", str),
        messages=(Message("user", _prompt(data.get("prompt"))),),
        stream=flag(data, "stream"),
        include_usage=include_usage(data),
        limits=read_limits(data, "max_tokens"),
    )


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        raise unsupported("Only one prompt at a time is supported.", "prompt")
    raise invalid("prompt must be a string.", "prompt")
