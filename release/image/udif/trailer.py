"""The 512 bytes at an image's end ("koly") and the tables of chunks ("mish") in its property list.

Numbers are big-endian. Places and lengths in the file are in bytes, those on the disk in 512-byte sectors.
"""

from __future__ import annotations

import plistlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

from release.image.faults import ImageFault

SECTOR = 512
CHUNK_SECTORS = 2048  # hdiutil's: 1 MiB

CRC32 = 2
CRC32_BITS = 32

KOLY = struct.Struct(">4s3I5Q2I16s3I124x2Q64x2Q40x3I124xIQ12x")
TABLE = struct.Struct(">4sI3Q2I24x3I124xI")
RUN = struct.Struct(">2I4Q")

RAW, IGNORED, ZERO = 1, 2, 0
COMMENT, END = 0x7FFFFFFE, 0xFFFFFFFF

DEVICE_IMAGE = 1
FLATTENED = 1
VERSION = 4


@dataclass(frozen=True, slots=True)
class Trailer:
    """What koly says. A code signature, if any, lies between the property list and the trailer."""

    data_length: int
    data_crc: int
    xml_offset: int
    xml_length: int
    master_crc: int
    sectors: int
    segment: bytes
    data_offset: int = 0
    signature_offset: int = 0
    signature_length: int = 0

    def pack(self) -> bytes:
        """Pack the 512 bytes."""
        return KOLY.pack(
            *(b"koly", VERSION, SECTOR, FLATTENED),
            *(0, self.data_offset, self.data_length, 0, 0, 1, 1, self.segment),
            *(CRC32, CRC32_BITS, self.data_crc),
            *(self.xml_offset, self.xml_length, self.signature_offset, self.signature_length),
            *(CRC32, CRC32_BITS, self.master_crc),
            *(DEVICE_IMAGE, self.sectors),
        )

    @classmethod
    def unpack(cls, data: bytes) -> Trailer:
        """Read the 512 bytes; raises ImageFault if they are no trailer of a whole, unencrypted image."""
        magic, version, size, *rest = KOLY.unpack(data) if len(data) == SECTOR else (b"", 0, 0)
        if (magic, version, size) != (b"koly", VERSION, SECTOR):
            raise ImageFault("this is no disk image: its trailer is missing")
        _, _, data_offset, data_length, _, _, _, segments, segment, kind, _, crc, *rest = rest
        xml_offset, xml_length, signature_offset, signature_length, master_kind, _, master, _, sectors = rest
        if segments > 1:
            raise ImageFault("images in several segments are not supported")
        if {kind, master_kind} - {CRC32}:
            raise ImageFault("the disk image's checksums are of an unknown kind")
        return cls(
            data_length=data_length,
            data_crc=crc,
            xml_offset=xml_offset,
            xml_length=xml_length,
            master_crc=master,
            sectors=sectors,
            segment=segment,
            data_offset=data_offset,
            signature_offset=signature_offset,
            signature_length=signature_length,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A chunk: `sectors` from `sector` of its table on, packed as `kind` into the file's bytes."""

    kind: int
    sector: int
    sectors: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Table:
    """A partition's (or gap's) chunks. `crc` is over all but ignored ones; runs count from `data_offset`."""

    name: str
    index: int
    sector: int
    sectors: int
    crc: int
    runs: tuple[Run, ...]
    data_offset: int = 0

    def pack(self) -> bytes:
        """Pack as "mish"; eight sectors are what hdiutil reserves beyond a chunk."""
        buffers = CHUNK_SECTORS + 8 if any(run.kind not in (IGNORED, END) for run in self.runs) else 0
        head = TABLE.pack(
            *(b"mish", 1, self.sector, self.sectors, self.data_offset, buffers, self.index),
            *(CRC32, CRC32_BITS, self.crc, len(self.runs)),
        )
        return head + b"".join(
            RUN.pack(run.kind, 0, run.sector, run.sectors, run.offset, run.length) for run in self.runs
        )

    @classmethod
    def unpack(cls, name: str, data: bytes) -> Table:
        """Read a "mish"; raises ImageFault if it is cut short or something else."""
        if len(data) < TABLE.size or not data.startswith(b"mish"):
            raise ImageFault("the disk image's table of chunks is damaged", where=name)
        _, _, sector, sectors, data_offset, _, index, kind, _, crc, count = TABLE.unpack_from(data)
        if kind != CRC32 or len(data) < TABLE.size + count * RUN.size:
            raise ImageFault("the disk image's table of chunks is damaged", where=name)
        rows = RUN.iter_unpack(data[TABLE.size : TABLE.size + count * RUN.size])
        runs = tuple(Run(kind, *place) for kind, _, *place in rows)
        return cls(name, index, sector, sectors, crc, runs, data_offset)


def pack_tables(tables: Sequence[Table]) -> bytes:
    """Pack the property list that holds the tables and, as hdiutil does, an empty list of partitions."""
    resources = [
        {
            "Attributes": "0x0050",
            "CFName": table.name,
            "Data": table.pack(),
            "ID": str(number - 1),
            "Name": table.name,
        }
        for number, table in enumerate(tables)
    ]
    plst = [{"Attributes": "0x0050", "Data": bytes(1032), "ID": "0", "Name": ""}]
    return plistlib.dumps({"resource-fork": {"blkx": resources, "plst": plst}})


def unpack_tables(xml: bytes) -> tuple[Table, ...]:
    """Read the property list's tables; raises ImageFault if it has none or is unreadable."""
    try:
        resources: Any = plistlib.loads(xml, fmt=plistlib.FMT_XML)["resource-fork"]["blkx"]
        pairs = [(str(resource.get("Name", "")), bytes(resource["Data"])) for resource in resources]
    except (ExpatError, plistlib.InvalidFileException, *_BAD_PLIST) as error:
        raise ImageFault("the disk image's property list cannot be read", details=(str(error),)) from error
    if not pairs:
        raise ImageFault("the disk image's property list names no chunks")
    return tuple(Table.unpack(name, data) for name, data in pairs)


_BAD_PLIST = (ValueError, KeyError, TypeError, AttributeError, IndexError, LookupError, OverflowError)
