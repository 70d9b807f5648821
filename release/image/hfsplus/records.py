"""The volume header and the catalog's records (TN1150, "Volume Header" and "Catalog File")."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

from release.image.hfsplus import names
from release.image.hfsplus.tree import Kind, Node

BLOCK = 4096
SECTOR = 512
MAC_EPOCH = 2_082_844_800  # seconds from 1904, where HFS+ begins, to 1970

FOLDER_RECORD, FILE_RECORD, FOLDER_THREAD, FILE_THREAD = 1, 2, 3, 4
HAS_THREAD = 2

HAS_CUSTOM_ICON = 0x0400
IS_INVISIBLE = 0x4000
HIDES_EXTENSION = 0x0010

SYMLINK_TYPE = b"slnkrhap"
HARD_LINK_TYPE = b"hlnkhfs+"

# Everybody's: a Mac shows the owner "unknown" (99) as whoever looks.
OWNER = GROUP = 99

KEY = struct.Struct(">HIH")  # length of what follows, parent, units in the name
FORK = struct.Struct(">QII64s")  # bytes, clump, blocks, eight extents
EXTENT = struct.Struct(">II")
THREAD = struct.Struct(">HHI")
# kind, flags, valence, cnid; five dates; owner, group, their flags, mode, links; Finder's type and creator,
# flags, place and more; text encoding, reserved
COMMON = struct.Struct(">HHII5I2I2BHI8sH22xI4x")
VOLUME = struct.Struct(">2sHI4sI4I10IQ6I8s")
FORKS_AT = VOLUME.size

_FORMAT: dict[Kind, int] = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}


@dataclass(frozen=True, slots=True)
class Fork:
    """`size` bytes in one run of blocks from block `start`."""

    start: int
    size: int

    @property
    def blocks(self) -> int:
        """Whole blocks taken."""
        return -(-self.size // BLOCK)

    def pack(self, clump: int = 0) -> bytes:
        """Pack as HFSPlusForkData: 80 bytes."""
        extent = EXTENT.pack(self.start, self.blocks) if self.size else b""
        return FORK.pack(self.size, clump, self.blocks, extent)


EMPTY = Fork(0, 0)


def mac_time(epoch: int) -> int:
    """Seconds since 1970 as HFS+ counts them: since 1904, 32 bits."""
    return (epoch + MAC_EPOCH) & 0xFFFFFFFF


def key(parent: int, units: names.Units = ()) -> bytes:
    """Pack a catalog key; without a name it is that of the thread record of item `parent`."""
    return KEY.pack(6 + 2 * len(units), parent, len(units)) + struct.pack(f">{len(units)}H", *units)


def thread(node: Node) -> bytes:
    """Pack the record by which an item's parent and name are found from its number."""
    kind = FOLDER_THREAD if node.kind == "dir" else FILE_THREAD
    name = struct.pack(f">H{len(node.units)}H", len(node.units), *node.units)
    return THREAD.pack(kind, 0, node.parent) + name


def item(node: Node, *, valence: int, fork: Fork, created: int) -> bytes:
    """Pack the folder (88 bytes) or file record (248) of `node`. `valence` counts a folder's entries."""
    folder, now = node.kind == "dir", mac_time(created)
    kind = SYMLINK_TYPE if node.kind == "link" else bytes(8)
    return COMMON.pack(
        FOLDER_RECORD if folder else FILE_RECORD,
        0 if folder else HAS_THREAD,
        valence,
        node.cnid,
        now,
        now,
        now,
        now,
        0,
        OWNER,
        GROUP,
        0,
        0,
        _FORMAT[node.kind] | node.mode,
        0 if folder else 1,
        kind,
        node.flags,
        0,
    ) + (b"" if folder else fork.pack() + EMPTY.pack())


@dataclass(frozen=True, slots=True)
class VolumeHeader:
    """Counts and places the volume header names; `open_folder` is the folder Finder shows on mounting."""

    created: int
    files: int
    folders: int
    blocks: int
    next_cnid: int
    open_folder: int
    unique_id: bytes
    allocation: Fork
    extents: Fork
    catalog: Fork
    attributes: Fork

    def pack(self) -> bytes:
        """Pack the 512 bytes: cleanly unmounted, nothing free, no journal."""
        now = mac_time(self.created)
        head = VOLUME.pack(
            *(b"H+", 4, 0x80000100, b"10.0", 0, now, now, 0, now),
            *(self.files, self.folders, BLOCK, self.blocks, 0, 0, 65536, 65536, self.next_cnid, 1),
            1,  # encodings in use: Roman
            *(0, 0, self.open_folder, 0, 0, 0),
            self.unique_id,
        )
        forks = (self.allocation, self.extents, self.catalog, self.attributes)
        return head + b"".join(fork.pack(fork.size) for fork in forks) + EMPTY.pack()
