"""As much of protobuf's wire format and of Connect's framing as a stand-in for Cursor's backend needs."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence

Fields = dict[int, list["int | bytes"]]

END_STREAM = 2  # flag of Connect's last frame, whose body is JSON


def varint(number: int) -> bytes:
    """A base-128 number, negative ones in two's complement of 64 bits."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def integer(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def block(field: int, value: bytes | str = b"") -> bytes:
    """A length-delimited field: bytes, text, or a message already encoded."""
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def decode(data: bytes) -> Fields:
    """All fields of a message by number; messages within stay bytes."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_value(data, at, key & 7)
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    shift = number = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _read_value(data: bytes, at: int, kind: int) -> tuple[int | bytes, int]:
    match kind:
        case 0:
            return _read_varint(data, at)
        case 1 | 5:
            size = 8 if kind == 1 else 4
            return int.from_bytes(data[at : at + size], "little"), at + size
        case 2:
            size, at = _read_varint(data, at)
            return data[at : at + size], at + size
        case _:
            raise ValueError(f"wire type {kind}")


def number(fields: Fields, field: int, default: int = 0) -> int:
    value = fields.get(field, [default])[-1]
    assert isinstance(value, int)
    return value


def blob(fields: Fields, *path: int) -> bytes:
    """The bytes at `path`, field by field through messages within; empty if a step is absent."""
    value: int | bytes = b""
    for index, field in enumerate(path):
        value = fields.get(field, [b""])[-1]
        assert isinstance(value, bytes)
        if index + 1 < len(path):
            fields = decode(value)
    assert isinstance(value, bytes)
    return value


def text(fields: Fields, *path: int) -> str:
    return blob(fields, *path).decode()


def messages(fields: Fields, field: int) -> list[Fields]:
    """A repeated message field, decoded."""
    return [decode(value) for value in fields.get(field, []) if isinstance(value, bytes)]


def json_value(value: object) -> bytes:
    """A google.protobuf.Value."""
    if value is None:
        return integer(1, 0)
    if isinstance(value, bool):
        return integer(4, int(value))
    if isinstance(value, int | float):
        return double(2, value)
    if isinstance(value, str):
        return block(3, value)
    if isinstance(value, Mapping):
        pairs = (block(1, key) + block(2, json_value(item)) for key, item in value.items())
        return block(5, b"".join(block(1, pair) for pair in pairs))
    assert isinstance(value, Sequence)
    return block(6, b"".join(block(1, json_value(item)) for item in value))


def members(value: bytes) -> dict[str, bytes]:
    """The members of a google.protobuf.Value that is an object, each still encoded; none of any other."""
    entries = messages(decode(blob(decode(value), 5)), 1)
    return {text(entry, 1): blob(entry, 2) for entry in entries}


def frame(data: bytes, flags: int = 0) -> bytes:
    """Connect's frame in a stream: flags, length, bytes."""
    return struct.pack(">BI", flags, len(data)) + data


def frames(data: bytes) -> Iterator[bytes]:
    """The frames of a whole body."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at + 1)
        yield data[at + 5 : at + 5 + size]
        at += 5 + size


def end_frame(error: Mapping[str, object] | None = None) -> bytes:
    return frame(json.dumps({"error": error} if error else {}).encode(), END_STREAM)


def connect_error(
    code: str, message: str, *, kind: int | None = None, title: str = "", detail: str = ""
) -> dict[str, object]:
    """Connect's error; with `kind`, an aiserver.v1.ErrorDetails that carries the text a user is to see."""
    error: dict[str, object] = {"code": code, "message": message}
    if kind is not None:
        details = integer(1, kind) + block(2, block(1, title) + block(2, detail))
        value = base64.b64encode(details).decode().rstrip("=")
        error["details"] = [{"type": "aiserver.v1.ErrorDetails", "value": value}]
    return error
