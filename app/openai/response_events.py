"""A response as it grows: its body at every moment, and the events that tell of each change. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.cursor.conversation import ToolCall
from app.openai.errors import ApiError
from app.openai.items import new_id
from app.openai.tools import Origin

Event = dict[str, Any]
Events = Iterator[Event]


class Growing:
    """Builds one response. Each method gives the events of its change, in order, with numbers.

    Events are of https://platform.openai.com/docs/api-reference/responses-streaming, `type` first.
    """

    def __init__(
        self,
        id: str,
        created: int,
        model: str,
        echo: Mapping[str, Any],
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        self.head: dict[str, Any] = {
            "id": id,
            "object": "response",
            "created_at": created,
            "model": model,
            "background": False,
            "max_tool_calls": None,
            "service_tier": "default",
            "top_logprobs": 0,
            "reasoning": {"effort": None, "summary": None},
            **echo,
        }
        self.output: list[dict[str, Any]] = []
        self.origins = origins or {}
        self._number = 0
        self._item: dict[str, Any] | None = None
        self._texts: list[str] = []

    def body(self, status: str, **more: Any) -> dict[str, Any]:
        """Give the response as it is now."""
        state = {
            "status": status,
            "error": None,
            "incomplete_details": None,
            "usage": None,
            "completed_at": None,
        }
        return {**self.head, **state, "output": list(self.output), **more}

    def text_so_far(self) -> str:
        """Give all text of the finished items."""
        parts = (part for item in self.output for part in item.get("content", ()))
        return "".join(part["text"] for part in parts)

    def opening(self) -> Events:
        """Tell that the response exists and is worked on."""
        yield self._event("response.created", response=self.body("in_progress"))
        yield self._event("response.in_progress", response=self.body("in_progress"))

    def text(self, delta: str) -> Events:
        """Add a piece of text, in a message that begins if none is open."""
        if self._item is None:
            yield from self._begin_message()
        self._texts.append(delta)
        yield self._in_part("response.output_text.delta", delta=delta, logprobs=[])

    def calls(self, calls: Sequence[ToolCall]) -> Events:
        """Add calls of tools; a message that is open ends."""
        yield from self._end_message()
        for call in calls:
            yield from self._call(call)

    def closing(self, *, cut: bool, completed: int, usage: dict[str, Any]) -> Events:
        """End the response; `cut` for one that became too long. `completed` is epoch seconds."""
        if not self.output and self._item is None:
            yield from self._begin_message()
        yield from self._end_message("incomplete" if cut else "completed")
        yield self._event(
            f"response.{'incomplete' if cut else 'completed'}", response=self.ended(cut, completed, usage)
        )

    def ended(self, cut: bool, completed: int, usage: dict[str, Any]) -> dict[str, Any]:
        """Give the body of the ended response."""
        if cut:
            return self.body("incomplete", incomplete_details={"reason": "max_output_tokens"}, usage=usage)
        return self.body("completed", completed_at=completed, usage=usage)

    def failed(self, error: ApiError) -> Event:
        """Tell that the response came to nothing."""
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        body = self.body("failed", error={"code": code, "message": error.message})
        return self._event("response.failed", response=body)

    def _begin_message(self) -> Events:
        self._item = {
            "id": new_id("message"),
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        self._texts = []
        yield self._event("response.output_item.added", output_index=len(self.output), item=dict(self._item))
        yield self._in_part("response.content_part.added", part=_part(""))

    def _end_message(self, status: str = "completed") -> Events:
        if self._item is None:
            return
        text = "".join(self._texts)
        yield self._in_part("response.output_text.done", text=text, logprobs=[])
        yield self._in_part("response.content_part.done", part=_part(text))
        item = {**self._item, "status": status, "content": [_part(text)]}
        self._item = None
        yield from self._done(item)

    def _call(self, call: ToolCall) -> Events:
        origin = self.origins.get(call.name) or Origin(call.name)
        free = origin.free
        kind, name = ("custom_tool_call", "input") if free else ("function_call", "arguments")
        item = {"id": new_id(kind), "type": kind, "call_id": call.id, "name": origin.name}
        if origin.namespace is not None:
            item["namespace"] = origin.namespace
        value = _free_text(call.arguments) if free else call.arguments
        place = {"item_id": item["id"], "output_index": len(self.output)}
        started = {**item, "status": "in_progress", name: ""}
        yield self._event("response.output_item.added", output_index=len(self.output), item=started)
        stem = f"response.{'custom_tool_call_input' if free else 'function_call_arguments'}"
        yield self._event(f"{stem}.delta", **place, delta=value)
        yield self._event(f"{stem}.done", **place, **{name: value}, **({} if free else {"name": origin.name}))
        yield from self._done({**item, "status": "completed", name: value})

    def _done(self, item: dict[str, Any]) -> Events:
        self.output.append(item)
        yield self._event("response.output_item.done", output_index=len(self.output) - 1, item=item)

    def _in_part(self, kind: str, **fields: Any) -> Event:
        assert self._item is not None
        place = {"item_id": self._item["id"], "output_index": len(self.output), "content_index": 0}
        return self._event(kind, **place, **fields)

    def _event(self, kind: str, **fields: Any) -> Event:
        number, self._number = self._number, self._number + 1
        return {"type": kind, "sequence_number": number, **fields}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _free_text(arguments: str) -> str:
    """Take a custom tool's text out of the arguments the model gave."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return arguments
    found = value.get("input") if isinstance(value, dict) else None
    return found if isinstance(found, str) else arguments
