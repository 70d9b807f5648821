"""What is asked of the bridge: a whole conversation, and what may be answered with.

Callers always give all of it. The bridge knows which part an agent of its own has already seen.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.cursor.models import Model

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Image:
    """A picture; `mime_type` is image/png or image/jpeg."""

    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a client's tool. `arguments` is JSON text; nobody can guess `id`."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `calls` go with role assistant, `call_id` (whose result `text` is) with role tool."""

    role: Role
    text: str
    images: tuple[Image, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of the client's. `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One run's input.

    `constraints` is text about the answer's form that goes behind the conversation. `session` keeps
    conversations apart that begin alike; requests of one session are of one client.
    """

    model: Model
    key: str
    turns: tuple[Turn, ...]
    constraints: str = ""
    tools: tuple[Tool, ...] = ()
    session: str | None = None

    def __repr__(self) -> str:
        return f"Prompt(model={self.model.id}, {len(self.turns)} turns)"

    def message(self) -> dict[str, Any]:
        """Give it as it goes over the socket (app/bridge/src/runs.mjs)."""
        return {
            "key": self.key,
            "model": self.model.sdk_id,
            "params": self.model.params,
            "turns": [_turn(turn) for turn in self.turns],
            "constraints": self.constraints,
            "tools": [
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
                for tool in self.tools
            ],
            "session": self.session,
        }


def _turn(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "text": turn.text}
    if turn.images:
        message["images"] = [
            {"data": base64.b64encode(image.data).decode(), "mimeType": image.mime_type}
            for image in turn.images
        ]
    if turn.calls:
        message["calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in turn.calls
        ]
    if turn.call_id:
        message["call_id"] = turn.call_id
    return message
