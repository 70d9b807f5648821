"""Xar archives, as far as Apple's installer packages use them.

Format: a header of 28 bytes or more, a zlib-compressed XML table of contents, then the heap that its offsets
count from.
"""

from __future__ import annotations

import bz2
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Final, cast
from xml.etree import ElementTree

MAGIC: Final = b"xar!"
LONGEST: Final = 64 << 20  # bytes of a table of contents: real ones stay far below


class BadPackage(Exception):
    """The bytes are not what they should be; pkg.unpack_package turns it into a Fault."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a xar archive: its path, and where its bytes lie in the file."""

    path: str
    offset: int
    length: int
    encoding: str


def members(stream: IO[bytes]) -> Iterator[Member]:
    """List the files of a xar archive."""
    magic, size, version, packed, plain, _ = struct.unpack(">4sHHQQI", exactly(stream, 28))
    if magic != MAGIC or version != 1:
        raise BadPackage("it is no xar archive")
    if max(packed, plain) > LONGEST:
        raise BadPackage("its table of contents is too long")
    stream.seek(size)
    table = zlib.decompressobj().decompress(exactly(stream, packed), LONGEST)
    # The table is data of a file whose digest is pinned, and expat resolves no external entities.
    root = ElementTree.fromstring(table)  # noqa: S314
    for element in root.findall("toc/file"):
        yield from _walk(element, PurePosixPath(), size + packed)


def _walk(element: ElementTree.Element, folder: PurePosixPath, heap: int) -> Iterator[Member]:
    name = element.findtext("name") or ""
    if not name or name in {".", ".."} or "/" in name:
        raise BadPackage(f"it holds a file named {name!r}")
    path = folder / name
    data = element.find("data")
    if element.findtext("type") == "file" and data is not None:
        encoding = data.find("encoding")
        style = "" if encoding is None else encoding.get("style", "")
        offset, length = (int(data.findtext(key) or 0) for key in ("offset", "length"))
        yield Member(str(path), heap + offset, length, style.removeprefix("application/"))
    for child in element.findall("file"):
        yield from _walk(child, path, heap)


class _Window(io.RawIOBase):
    """A part of a file, as a stream of its own."""

    def __init__(self, stream: IO[bytes], offset: int, length: int) -> None:
        self._stream, self._place, self._left = stream, offset, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._stream.seek(self._place)
        block = self._stream.read(min(len(buffer), self._left))
        buffer[: len(block)] = block
        self._place += len(block)
        self._left -= len(block)
        return len(block)


def section(stream: IO[bytes], member: Member) -> IO[bytes]:
    """Open one file of the archive for reading, decoded."""
    window: IO[bytes] = io.BufferedReader(
        cast("io.RawIOBase", _Window(stream, member.offset, member.length)), 1 << 20
    )
    if member.encoding in {"", "octet-stream"}:
        return window
    if member.encoding == "x-bzip2":
        return cast("IO[bytes]", bz2.open(window))
    if member.encoding == "x-gzip":  # the name is xar's; the bytes are a zlib stream
        return io.BytesIO(zlib.decompress(window.read()))
    raise BadPackage(f"its files are coded as {member.encoding!r}")


def exactly(stream: IO[bytes], size: int) -> bytes:
    """Read `size` bytes; raises BadPackage if there are fewer."""
    data = stream.read(size)
    if len(data) != size:
        raise BadPackage("it ends too early")
    return data
