"""The payload of an installer package's component: cpio, packed with gzip or pbzx or not at all.

Formats: pbzx (chunks of xz or plain bytes, as Apple's tools write them); cpio in its old portable ("070707")
and its new ("070701") ASCII form. Everything is streamed.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, cast

from release.inputs.xar import BadPackage, exactly

PBZX: Final = b"pbzx"
GZIP: Final = b"\x1f\x8b"
LONGEST: Final = 64 << 20  # bytes of a chunk or a name: real ones stay far below
TRAILER: Final = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Header:
    """The head of one cpio entry."""

    name: str
    mode: int
    size: int


def decoded(payload: IO[bytes]) -> IO[bytes]:
    """Open a payload's cpio stream, whatever it is packed with."""
    buffered = io.BufferedReader(cast("io.RawIOBase", payload), 1 << 20)
    start = buffered.peek(4)
    if start.startswith(PBZX):
        return io.BufferedReader(cast("io.RawIOBase", _Joined(chunks(buffered))), 1 << 20)
    return cast("IO[bytes]", gzip.open(buffered)) if start.startswith(GZIP) else buffered


def chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Decode a pbzx stream: after the magic and the chunk size, pairs of lengths, plain and packed."""
    if exactly(stream, 4) != PBZX:
        raise BadPackage("it is no pbzx stream")
    (more,) = struct.unpack(">Q", exactly(stream, 8))
    while more & 1 << 24:
        more, length = struct.unpack(">QQ", exactly(stream, 16))
        if length > LONGEST:
            raise BadPackage("a chunk is too long")
        block = exactly(stream, length)
        yield lzma.decompress(block, lzma.FORMAT_XZ) if block.startswith(b"\xfd7zXZ\0") else block


class _Joined(io.RawIOBase):
    """Blocks of bytes, as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)


def entries(stream: IO[bytes]) -> Iterator[Header]:
    """Read a cpio stream's heads; after each, the caller reads exactly its `size` bytes from the stream."""
    while True:
        magic = exactly(stream, 6)
        if magic == b"070707":
            header, align = _old(exactly(stream, 70), stream), 1
        elif magic == b"070701":
            header, align = _new(exactly(stream, 104), stream), 4
        else:
            raise BadPackage(f"a file in it starts with {magic!r}")
        if header.name == TRAILER:
            return
        yield header
        exactly(stream, -header.size % align)


def _old(head: bytes, stream: IO[bytes]) -> Header:
    # Octal: dev ino mode uid gid nlink rdev (6 digits each), mtime (11), length of name (6), of file (11).
    name = exactly(stream, min(int(head[53:59], 8), LONGEST))
    return Header(name.rstrip(b"\0").decode(), int(head[12:18], 8), int(head[59:70], 8))


def _new(head: bytes, stream: IO[bytes]) -> Header:
    # Thirteen numbers of eight hex digits: second the mode, seventh the length, twelfth the name's.
    mode, size, length = (int(head[8 * index : 8 * index + 8], 16) for index in (1, 6, 11))
    name = exactly(stream, min(length, LONGEST))
    exactly(stream, -(110 + length) % 4)
    return Header(name.rstrip(b"\0").decode(), mode, size)
