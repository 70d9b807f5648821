"""Bounded reads from untrusted bytes: whatever a file claims, nothing outside of it is touched."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from errors import Exit, Fault


class Malformed(Fault):
    """The bytes do not follow the format they claim to be in."""

    status = Exit.SIGNATURE

    def __init__(self, what: str, *, where: object | None = None) -> None:
        super().__init__(
            what, where=where, cure="the file is damaged or not what its name says: fetch or build it again"
        )


def cut(data: memoryview, offset: int, size: int, what: str) -> memoryview:
    """`size` bytes of `data` from `offset`, without copying; Malformed if they are not all there."""
    if offset < 0 or size < 0 or offset + size > len(data):
        raise Malformed(f"{what} lies outside of its file: {size} bytes at {offset} of {len(data)}")
    return data[offset : offset + size]


def unpack(layout: struct.Struct, data: memoryview, offset: int, what: str) -> tuple[Any, ...]:
    """The fields of `layout` at `offset`; Malformed if they are not all there."""
    return layout.unpack(cut(data, offset, layout.size, what))


def text(data: memoryview, offset: int, what: str, *, limit: int = 1024) -> str:
    """The NUL-terminated UTF-8 string at `offset`, of at most `limit` bytes."""
    rest = bytes(cut(data, offset, min(limit + 1, max(len(data) - offset, 0)), what))
    end = rest.find(b"\0")
    if end < 0:
        raise Malformed(f"{what} has no end")
    try:
        return rest[:end].decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8") from error


def mapped(path: Path) -> memoryview:
    """The file's bytes as a read-only view of the page cache, so that 90 MB are never copied.

    The mapping lives as long as a view of it does.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise Malformed("is not a file", where=path)
    try:
        with path.open("rb") as stream:
            if not stream.seek(0, 2):
                return memoryview(b"")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise Fault(
            f"cannot be read: {error.strerror or error}",
            where=path,
            cure="check that the path is right and readable",
            status=Exit.SIGNATURE,
        ) from error
