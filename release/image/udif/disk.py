"""Reading a UDIF image as the disk it packs: any range of it, a chunk at a time, and its checksums."""

from __future__ import annotations

import bisect
import errno
import functools
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import deflate

from release.image import parallel
from release.image.faults import ImageFault
from release.image.udif import codecs
from release.image.udif.trailer import (
    COMMENT,
    END,
    IGNORED,
    RAW,
    SECTOR,
    ZERO,
    Run,
    Table,
    Trailer,
    unpack_tables,
)

MEBI = 1 << 20
MAX_PROPERTY_LIST = 64 * MEBI
MAX_CHUNK = 16 * MEBI  # hdiutil's have 1; a longer one would have to be held whole
MAX_DISK = 64 << 30  # beyond that an app's image is not meant
KEPT = 4  # unpacked chunks held, so that small files in a row cost one unpacking

_EMPTY = (IGNORED, ZERO)


class Piece(NamedTuple):
    """A run by its place on the whole disk (bytes), with where it lies in the file."""

    start: int
    length: int
    kind: int
    offset: int
    packed: int


class Disk:
    """An open image. Every failure is an ImageFault; damage to a chunk shows when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ImageFault(f"the disk image cannot be opened: {error.strerror}", where=path) from error
        self._chunk: Callable[[Piece], bytes] = functools.lru_cache(KEPT)(self._unpacked)
        try:
            self._length = os.fstat(self._file).st_size
            self.trailer = Trailer.unpack(self._bytes(self._length - SECTOR, SECTOR))
            self.tables = self._tables()
            self._pieces = _in_order([piece for table in self.tables for piece in self._table_pieces(table)])
            self._starts = [piece.start for piece in self._pieces]
        except ImageFault as fault:
            self.close()
            raise located(fault, path) from fault
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; twice does no harm."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self.trailer.sectors * SECTOR

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes of the disk from byte `offset`; what no chunk covers is zeros."""
        if not 0 <= offset <= offset + size <= self.size:
            raise ImageFault("something on the disk image lies outside of it", where=self.path)
        parts: list[bytes] = []
        at, end = offset, offset + size
        i = max(bisect.bisect_right(self._starts, offset) - 1, 0)
        for piece in self._pieces[i : bisect.bisect_left(self._starts, end)]:
            begin, stop = max(at, piece.start), min(end, piece.start + piece.length)
            if begin < stop:
                parts += (bytes(begin - at), self._part(piece, begin - piece.start, stop - begin))
                at = stop
        parts.append(bytes(end - at))
        return b"".join(parts)

    def checksums(self, *, threads: int | None = None) -> list[str]:
        """Recompute every checksum; return what is wrong, nothing if all is well."""
        problems = []
        if self._packed_crc() != self.trailer.data_crc:
            problems.append("the checksum over the packed data is wrong")
        master = b"".join(table.crc.to_bytes(4, "big") for table in self.tables)
        if deflate.crc32(master) != self.trailer.master_crc:
            problems.append("the master checksum is wrong")
        for table in self.tables:
            try:
                if self._table_crc(table, threads or parallel.cores()) != table.crc:
                    problems.append(f"the checksum of {table.name!r} is wrong")
            except ImageFault as fault:
                problems.append(f"{table.name!r}: {fault.what}")
        return problems

    def _tables(self) -> tuple[Table, ...]:
        trailer, end = self.trailer, self._length - SECTOR
        spans = (
            (trailer.data_offset, trailer.data_length),
            (trailer.xml_offset, trailer.xml_length),
            (trailer.signature_offset, trailer.signature_length),
        )
        if any(offset + length > end for offset, length in spans) or trailer.xml_length > MAX_PROPERTY_LIST:
            raise ImageFault("the disk image is cut short, or its trailer is damaged")
        if trailer.sectors * SECTOR > MAX_DISK:
            raise ImageFault("the disk image claims to be larger than any app's")
        tables = unpack_tables(self._bytes(trailer.xml_offset, trailer.xml_length))
        for table in tables:
            _check(table, trailer)
        return tables

    def _table_pieces(self, table: Table) -> Iterator[Piece]:
        data = self.trailer.data_offset + table.data_offset
        for run in table.runs:
            if run.kind not in (COMMENT, END):
                start = (table.sector + run.sector) * SECTOR
                yield Piece(start, run.sectors * SECTOR, run.kind, data + run.offset, run.length)

    def _bytes(self, offset: int, size: int) -> bytes:
        """Return bytes of the image file itself."""
        try:
            data = os.pread(self._file, size, offset) if offset >= 0 else b""
        except OSError as error:
            raise ImageFault(f"the disk image cannot be read: {_reason(error)}", where=self.path) from error
        if len(data) != size:
            raise ImageFault("the disk image is cut short", where=self.path)
        return data

    def _part(self, piece: Piece, skip: int, size: int) -> bytes:
        if piece.kind in _EMPTY:
            return bytes(size)
        if piece.kind == RAW:
            return self._bytes(piece.offset + skip, size)
        return self._chunk(piece)[skip : skip + size]

    def _unpacked(self, piece: Piece) -> bytes:
        return codecs.unpack(piece.kind, self._bytes(piece.offset, piece.packed), piece.length)

    def _packed_crc(self) -> int:
        crc, at = 0, self.trailer.data_offset
        end = at + self.trailer.data_length
        while at < end:
            data = self._bytes(at, min(MEBI, end - at))
            crc = deflate.crc32(data, crc)
            at += len(data)
        return crc

    def _table_crc(self, table: Table, threads: int) -> int:
        """CRC-32 over what the table's chunks hold, ignored ones left out."""
        crc = 0
        cut = (part for piece in self._table_pieces(table) if piece.kind != IGNORED for part in _cut(piece))
        for _, plain in parallel.ordered(lambda part: self._whole(*part), cut, threads):
            crc = deflate.crc32(plain, crc)
        return crc

    def _whole(self, piece: Piece, skip: int, size: int) -> bytes:
        packed = piece.kind not in (*_EMPTY, RAW)
        return self._unpacked(piece) if packed else self._part(piece, skip, size)


def located(fault: ImageFault, path: Path) -> ImageFault:
    """Return `fault` with the image's path for a place, if it names none."""
    where = path if fault.where is None else f"{path}: {fault.where}"
    return ImageFault(fault.what, where=where, cure=fault.cure, details=fault.details)


def _cut(piece: Piece) -> Iterator[tuple[Piece, int, int]]:
    """Cut what can be had in parts (raw, empty) into parts of 1 MiB; a packed chunk stays whole."""
    step = MEBI if piece.kind in (*_EMPTY, RAW) else max(piece.length, 1)
    for skip in range(0, piece.length, step):
        yield piece, skip, min(step, piece.length - skip)


def _in_order(pieces: list[Piece]) -> list[Piece]:
    pieces.sort()
    for before, after in itertools.pairwise(pieces):
        if before.start + before.length > after.start:
            raise ImageFault("the disk image's chunks overlap")
    return pieces


def _check(table: Table, trailer: Trailer) -> None:
    """Raise ImageFault unless the table's runs follow one another, and stay in the disk and in the data."""
    at = 0
    for run in table.runs:
        if run.kind == END:
            break
        if run.kind == COMMENT:
            continue
        if run.sector != at or not _fits(run, table, trailer):
            raise ImageFault("the disk image's table of chunks is damaged", where=table.name)
        at += run.sectors
    if at != table.sectors or table.sector + table.sectors > trailer.sectors:
        raise ImageFault("the disk image's table of chunks is damaged", where=table.name)


def _fits(run: Run, table: Table, trailer: Trailer) -> bool:
    if run.kind in _EMPTY:
        return True
    size = run.sectors * SECTOR
    inside = table.data_offset + run.offset + run.length <= trailer.data_length
    return inside and (run.length == size if run.kind == RAW else max(size, run.length) <= MAX_CHUNK)


def _reason(error: OSError) -> str:
    return "it is a folder" if error.errno == errno.EISDIR else str(error.strerror)
