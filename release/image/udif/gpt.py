"""The partition map around the volume: a GUID table with one Apple_HFS entry (UEFI 2.x, chapter 5)."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass

SECTOR = 512
FIRST = 40  # the volume's first sector, where hdiutil puts it
ENTRIES, ENTRY_SIZE = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_SIZE // SECTOR
GAP = 7  # sectors hdiutil leaves behind the volume
USABLE = 2 + TABLE_SECTORS

HFS = uuid.UUID("48465300-0000-11AA-AA11-00306543ECAC")

HEADER = struct.Struct("<8s4I4Q16sQ3I")
ENTRY = struct.Struct("<16s16s3Q72s")
MBR = struct.Struct("<446xB3sB3s2I48x2s")


@dataclass(frozen=True, slots=True)
class Map:
    """The sectors before and behind the volume."""

    sectors: int
    mbr: bytes
    header: bytes
    table: bytes
    backup: bytes


def around(volume_sectors: int, seed: str) -> Map:
    """Make the map for a volume of that size; `seed` determines the identifiers."""
    sectors = FIRST + volume_sectors + GAP + TABLE_SECTORS + 1
    disk, partition = (uuid.uuid5(uuid.NAMESPACE_OID, f"{seed}\0{part}") for part in ("disk", "partition"))
    name = "disk image".encode("utf-16-le")
    entry = ENTRY.pack(HFS.bytes_le, partition.bytes_le, FIRST, FIRST + volume_sectors - 1, 0, name)
    table = entry.ljust(ENTRIES * ENTRY_SIZE, b"\0")
    far = (0xFF, 0xFF, 0xFF)
    return Map(
        sectors,
        MBR.pack(0, bytes(far), 0xEE, bytes(far), 1, min(sectors - 1, 0xFFFFFFFF), b"\x55\xaa"),
        _header(1, sectors - 1, 2, sectors, disk, table),
        table,
        _header(sectors - 1, 1, sectors - 1 - TABLE_SECTORS, sectors, disk, table),
    )


def _header(here: int, other: int, table_at: int, sectors: int, disk: uuid.UUID, table: bytes) -> bytes:
    def packed(crc: int) -> bytes:
        return HEADER.pack(
            *(b"EFI PART", 0x10000, HEADER.size, crc, 0),
            *(here, other, USABLE, sectors - USABLE, disk.bytes_le),
            *(table_at, ENTRIES, ENTRY_SIZE, zlib.crc32(table)),
        )

    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b"\0")
