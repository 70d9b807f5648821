"""Writing a UDIF image around a volume: chunks packed on several cores, written in order.

The bytes depend on the volume and the format alone, not on the number of threads.
"""

from __future__ import annotations

import errno
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

import deflate

from errors import Exit
from release.image import parallel
from release.image.faults import ImageFault
from release.image.udif import gpt
from release.image.udif.codecs import FORMATS, Codec
from release.image.udif.trailer import (
    CHUNK_SECTORS,
    END,
    IGNORED,
    RAW,
    SECTOR,
    Run,
    Table,
    Trailer,
    pack_tables,
)

Progress = Callable[[int, int], None]

CHUNK = CHUNK_SECTORS * SECTOR
ZEROS = bytes(CHUNK)
MEMORY = 128  # MiB that packing may take: with many cores, not all of them work on a greedy format


class Source(Protocol):
    """A volume to be written: hfsplus.volume.Volume."""

    name: str
    created: int

    @property
    def size(self) -> int:
        """Bytes, whole sectors."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Every byte in order."""
        ...


def write(
    source: Source,
    dst: Path,
    form: str | Codec,
    *,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Write `source` as the image `dst` (whole or not at all) in `form`: UDZO, UDBZ, ULFO, ULMO or a codec.

    `threads` is the cores' number if not given; `on_progress` gets bytes of the volume done and their total.
    Raises ImageFault, with status DISK if there is no room.
    """
    codec = FORMATS[form] if isinstance(form, str) else form
    scratch = dst.with_name(f".{dst.name}.part")
    try:
        with scratch.open("wb") as file:
            _Writer(file, codec, min(threads or parallel.cores(), MEMORY // codec.memory), on_progress).image(
                source
            )
        scratch.replace(dst)
    except OSError as error:
        raise _fault(error, dst) from error
    finally:
        scratch.unlink(missing_ok=True)


def _fault(error: OSError, dst: Path) -> ImageFault:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ImageFault("the disk is full", where=dst, cure="make room and run it again", status=Exit.DISK)
    return ImageFault(f"the disk image cannot be written: {error.strerror}", where=error.filename or dst)


class _Writer:
    """An image being written: the file, how far it is, and the checksum over it."""

    def __init__(self, file: IO[bytes], codec: Codec, threads: int, on_progress: Progress | None) -> None:
        self.file, self.codec, self.threads, self.on_progress = file, codec, threads, on_progress
        self.at = self.crc = 0

    def image(self, source: Source) -> None:
        """Write everything: data, property list, trailer."""
        identity = f"{source.name}\0{source.created}\0{source.size}"
        tables = self._tables(source, gpt.around(source.size // SECTOR, identity))
        xml = pack_tables(tables)
        self.file.write(xml)
        self.file.write(
            Trailer(
                data_length=self.at,
                data_crc=self.crc,
                xml_offset=self.at,
                xml_length=len(xml),
                master_crc=deflate.crc32(b"".join(table.crc.to_bytes(4, "big") for table in tables)),
                sectors=tables[-1].sector + tables[-1].sectors,
                segment=uuid.uuid5(uuid.NAMESPACE_OID, f"{identity}\0{self.crc}").bytes,
            ).pack()
        )

    def _tables(self, source: Source, around: gpt.Map) -> list[Table]:
        volume, last = source.size // SECTOR, around.sectors - 1
        behind = gpt.FIRST + volume
        parts: list[tuple[str, int, int, Iterable[bytes]]] = [
            ("Protective Master Boot Record (MBR : 0)", 0, 1, [around.mbr]),
            ("GPT Header (Primary GPT Header : 1)", 1, 1, [around.header]),
            ("GPT Partition Data (Primary GPT Table : 2)", 2, gpt.TABLE_SECTORS, [around.table]),
            (" (Apple_Free : 3)", gpt.USABLE, gpt.FIRST - gpt.USABLE, ()),
            ("disk image (Apple_HFS : 4)", gpt.FIRST, volume, self._counted(source)),
            (" (Apple_Free : 5)", behind, gpt.GAP, ()),
            (
                "GPT Partition Data (Backup GPT Table : 6)",
                behind + gpt.GAP,
                gpt.TABLE_SECTORS,
                [around.table],
            ),
            ("GPT Header (Backup GPT Header : 7)", last, 1, [around.backup]),
        ]
        return [self._table(i, *part) for i, part in enumerate(parts)]

    def _counted(self, source: Source) -> Iterator[bytes]:
        done, total = 0, source.size
        for piece in source.chunks():
            yield piece
            done += len(piece)
            if self.on_progress:
                self.on_progress(done, total)

    def _table(self, index: int, name: str, sector: int, sectors: int, data: Iterable[bytes]) -> Table:
        runs: list[Run] = []
        at = crc = 0
        for plain, packed in parallel.ordered(self._pack, _chunks(data), self.threads):
            count = len(plain) // SECTOR
            if packed is None:
                runs.append(Run(IGNORED, at, count, self.at, 0))
            else:
                crc = deflate.crc32(plain, crc)
                kind, body = (self.codec.number, packed) if len(packed) < len(plain) else (RAW, plain)
                runs.append(Run(kind, at, count, self._put(body), len(body)))
            at += count
        if not runs:
            runs.append(Run(IGNORED, 0, sectors, self.at, 0))
        runs.append(Run(END, sectors, 0, self.at, 0))
        return Table(name, index, sector, sectors, crc, tuple(runs))

    def _pack(self, plain: bytes) -> bytes | None:
        """Pack a chunk; None if it is all zeros, which an image leaves out."""
        return None if plain == ZEROS[: len(plain)] else self.codec.pack(plain)

    def _put(self, body: bytes) -> int:
        at = self.at
        self.file.write(body)
        self.crc = deflate.crc32(body, self.crc)
        self.at += len(body)
        return at


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream into chunks of 1 MiB; the last one may be shorter."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        while length + len(piece) >= CHUNK:
            cut = CHUNK - length
            yield b"".join((*waiting, piece[:cut]))
            waiting, length, piece = [], 0, piece[cut:]
        if piece:
            waiting.append(piece)
            length += len(piece)
    if waiting:
        yield b"".join(waiting)
