"""The framing between the app and the bridge: a 4-byte big-endian length, then that much JSON.

The other side is app/bridge/src/frames.mjs. Messages to the bridge name an operation (`op`), those from it an
event (`event`); `id` says which run they belong to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

MAX_FRAME = 128 * 1024 * 1024
CHUNK = 65_536


class Ready(msgspec.Struct, frozen=True, tag_field="event", tag="ready"):
    """The bridge's first word: the token it was started with, and what runs it."""

    token: str
    runtime: str
    version: str


class Text(msgspec.Struct, frozen=True, tag_field="event", tag="text"):
    """A piece of the answer."""

    id: int
    text: str


class Thinking(msgspec.Struct, frozen=True, tag_field="event", tag="thinking"):
    """A piece of the model's reasoning."""

    id: int
    text: str


class Tokens(msgspec.Struct, frozen=True, rename="camel"):
    """Token counts as the SDK gives them. `input_tokens` does not include the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class Done(msgspec.Struct, frozen=True, tag_field="event", tag="done"):
    """The end of a run that went well."""

    id: int
    usage: Tokens | None = None


class Call(msgspec.Struct, frozen=True):
    """A tool call as it comes over the socket."""

    id: str
    name: str
    arguments: str


class Calls(msgspec.Struct, frozen=True, tag_field="event", tag="calls"):
    """The model's calls of the client's tools; the run is suspended, and `done` ends the request."""

    id: int
    calls: tuple[Call, ...]


class Failed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """The end of a run that did not. `kind` is one of app/bridge/src/failures.mjs."""

    id: int
    kind: str
    message: str
    retryable: bool = False


class Status(msgspec.Struct, frozen=True, tag_field="event", tag="status"):
    """How the bridge is.

    Runs under way and suspended, agents that rest between turns, records in memory, refused requests by kind,
    bytes resident.
    """

    id: int
    running: int
    parked: int
    resting: int
    stored: int
    refusals: dict[str, int]
    memory: int


class Me(msgspec.Struct, frozen=True, tag_field="event", tag="me"):
    """Whose a key is: what Cursor says of its owner, and the name the owner gave it."""

    id: int
    email: str | None = None
    name: str | None = None
    key_name: str | None = None


Event = Ready | Text | Thinking | Calls | Done | Failed | Status | Me

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


def encode(message: dict[str, Any]) -> bytes:
    """Frame `message`."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


async def read(reader: asyncio.StreamReader) -> Event:
    """Read the next event. Raises IncompleteReadError at the end, ValueError on what is no event."""
    return _decoder.decode(await reader.readexactly(_size(await reader.readexactly(4))))


async def read_all(reader: asyncio.StreamReader) -> AsyncIterator[Event]:
    """Read events until the end, as many at a time as have arrived. Raises as `read`."""
    data = b""
    while True:
        at = 0
        while len(data) - at >= 4 and (end := at + 4 + _size(data[at : at + 4])) <= len(data):
            yield _decoder.decode(memoryview(data)[at + 4 : end])
            at = end
        data = data[at:]
        if len(data) > CHUNK:  # one long event: the rest of it in one piece
            data += await reader.readexactly(4 + _size(data[:4]) - len(data))
        elif chunk := await reader.read(CHUNK):
            data += chunk
        else:
            raise asyncio.IncompleteReadError(data, None)


def _size(head: bytes) -> int:
    size = int.from_bytes(head, "big")
    if size > MAX_FRAME:
        raise ValueError(f"a frame of {size} bytes is too long")
    return size
