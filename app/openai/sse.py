"""Server-sent events."""

from __future__ import annotations

from typing import Any

import msgspec

DONE = b"data: [DONE]\n\n"
_encoder = msgspec.json.Encoder()


def named(data: dict[str, Any]) -> bytes:
    """Frame `data` as an event that is named by its type, as Responses have them."""
    return event(data, data["type"])


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """Frame `data` as one event, with its `event:` line if it has a name."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + _encoder.encode(data) + b"\n\n"
