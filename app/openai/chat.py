"""Chat completions: a request's body checked and read, an answer's bodies made. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from app.openai.errors import ApiError, invalid, unsupported

Role = Literal["system", "user", "assistant"]
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
# Given and not one of the values that ask for nothing: refused.
UNSUPPORTED: dict[str, tuple[object, ...]] = {
    "functions": (None,),
    "function_call": (None,),
    "tools": (None, []),
    "audio": (None,),
    "top_logprobs": (None,),
}
NAMED = {"top_logprobs": "logprobs", "function_call": "functions"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation, its parts joined."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for. `model` is as it was spelled."""

    model: str | None
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False


def parse(body: bytes) -> ChatRequest:
    """Read and check the body of POST /v1/chat/completions. Raises ApiError."""
    data = decode_object(body)
    _check_supported(data)
    return ChatRequest(
        model=_optional(data, "model", str, "a string"),
        messages=_messages(data.get("messages")),
        stream=bool(_optional(data, "stream", bool, "a boolean")),
        include_usage=_include_usage(_optional(data, "stream_options", dict, "an object")),
    )


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode a request's body, which must be a JSON object."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("Invalid JSON in request body") from None
    if not isinstance(data, dict):
        raise invalid("The request body must be a JSON object.", "body")
    return data


def _check_supported(data: dict[str, Any]) -> None:
    if data.get("n") not in (None, 1) or isinstance(data.get("n"), bool):
        raise unsupported("Only n=1 is supported.", "n")
    if data.get("logprobs"):
        raise unsupported("logprobs is not supported.", "logprobs")
    if data.get("modalities") not in (None, ["text"]):
        raise unsupported("Only text output is supported.", "modalities")
    for name, nothing in UNSUPPORTED.items():
        if data.get(name) not in nothing:
            raise unsupported(f"{name} is not supported.", NAMED.get(name, name))


def _optional(data: dict[str, Any], name: str, kind: type, words: str) -> Any:
    value = data.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise invalid(f"{name} must be {words}.", name)


def _include_usage(options: dict[str, Any] | None) -> bool:
    return bool(options and options.get("include_usage"))


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise invalid("messages must be an array with at least one message.", "messages")
    return tuple(_message(item, f"messages[{index}]") for index, item in enumerate(value))


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, dict):
        raise invalid(f"{where} must be an object.", where)
    role = item.get("role")
    known = ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        raise invalid(f"{where}.role must be one of {', '.join(ROLES)}.", f"{where}.role")
    return Message(known, _content(item.get("content"), f"{where}.content"))


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise invalid(f"{where} must be a string or an array of parts.", where)
    return "".join(_part(part, f"{where}[{index}]") for index, part in enumerate(value))


def _part(part: Any, where: str) -> str:
    if not isinstance(part, dict):
        raise invalid(f"{where} must be an object.", where)
    kind = part.get("type")
    if kind != "text":
        raise unsupported(f"{where}.type {kind!r} is not supported; send text.", f"{where}.type")
    if not isinstance(part.get("text"), str):
        raise invalid(f"{where}.text must be a string.", f"{where}.text")
    return str(part["text"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What all bodies of one answer share. `created` is epoch seconds."""

    id: str
    created: int
    model: str

    def completion(self, text: str, usage: dict[str, Any]) -> dict[str, Any]:
        """Give the body of an answer that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage}

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Give one chunk of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: dict[str, Any]) -> dict[str, Any]:
        """Give the chunk that follows the last when `stream_options.include_usage` is set: no choices."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def stream_error(error: ApiError) -> dict[str, Any]:
    """Give the body of an error in the middle of a stream, when the status has long been sent."""
    return {
        "error": {
            "message": error.message,
            "type": "cursor_error",
            "param": None,
            "code": "cursor_stream_error",
        }
    }
