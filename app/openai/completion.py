"""What is answered to a chat completion and to a completion of the old kind. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.cursor.conversation import ToolCall
from app.openai.errors import ApiError
from app.openai.tools import call_objects


@dataclass(frozen=True, slots=True)
class Answer:
    """What all bodies of one chat completion share. `created` is epoch seconds."""

    id: str
    created: int
    model: str

    def whole(
        self, text: str, calls: Sequence[ToolCall], finish: str, usage: dict[str, Any]
    ) -> dict[str, Any]:
        """Give the body of an answer that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if calls:
            message |= {"content": text or None, "tool_calls": call_objects(calls)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage}

    def opening(self) -> dict[str, Any]:
        """Give the first chunk: whose words follow."""
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> dict[str, Any]:
        """Give a chunk of text."""
        return self._chunk({"content": text})

    def calls(self, calls: Sequence[ToolCall]) -> dict[str, Any]:
        """Give the chunk of tool calls."""
        return self._chunk({"tool_calls": call_objects(calls, indexed=True)})

    def closing(self, finish: str) -> dict[str, Any]:
        """Give the chunk that says how it ended."""
        return self._chunk({}, finish)

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """Give the chunk that follows the last when `stream_options.include_usage` is set: no choices."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


@dataclass(frozen=True, slots=True)
class OldAnswer:
    """The same for POST /v1/completions, whose chunks look like its whole answers."""

    id: str
    created: int
    model: str

    def whole(
        self, text: str, calls: Sequence[ToolCall], finish: str, usage: dict[str, Any]
    ) -> dict[str, Any]:
        """Give the body of an answer that is not streamed."""
        return {**self._body(text, finish), "usage": usage}

    def opening(self) -> dict[str, Any] | None:
        """Give nothing: the old kind has no roles."""
        return None

    def text(self, text: str) -> dict[str, Any]:
        """Give a chunk of text."""
        return self._body(text, None)

    def calls(self, calls: Sequence[ToolCall]) -> dict[str, Any] | None:
        """Give nothing: the old kind has no tools."""
        return None

    def closing(self, finish: str) -> dict[str, Any]:
        """Give the chunk that says how it ended."""
        return self._body("", finish)

    def usage(self, usage: dict[str, Any]) -> dict[str, Any]:
        """Give the chunk with the usage: no choices."""
        return {**self._body("", None), "choices": [], "usage": usage}

    def _body(self, text: str, finish: str | None) -> dict[str, Any]:
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
        head = {"id": self.id, "object": "text_completion", "created": self.created, "model": self.model}
        return {**head, "choices": [choice]}


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
