"""Reading an HFS+ volume (TN1150): its catalog, and where on the disk each file's bytes are.

Everything read is checked before it is believed: a damaged volume ends in an ImageFault.
"""

from __future__ import annotations

import itertools
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from release.image.faults import ImageFault
from release.image.hfsplus import btree, names, records
from release.image.hfsplus.records import EXTENT, FORK, KEY, SECTOR
from release.image.hfsplus.tree import ROOT, ROOT_PARENT, Kind

Read = Callable[[int, int], bytes]  # offset in the volume, size → that many bytes

MEBI = 1 << 20
MAX_PATH = 1024  # folders in folders; a Mac allows paths of 1024 bytes
CATALOG_CNID = 4
DATA_FORK = 0
BLOCKS, BLOCKS_AT = struct.Struct(">2I"), 40  # block size and count in the volume header
EXTENTS_KEY = struct.Struct(">HBBII")
NODE_SIZES = tuple(512 << i for i in range(7))
COMPRESSED = 0x20  # owner flag of a file whose bytes are in an attribute

# Where the file system keeps hard links; no part of the tree that a Mac shows.
_PRIVATE = ("\0\0\0\0HFS+ Private Data", ".HFS+ Private Directory Data\r")


@dataclass(frozen=True, slots=True)
class Fork:
    """`size` bytes in runs of (first block, blocks)."""

    size: int
    extents: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A catalog's file or folder. `name` as POSIX sees it, decomposed; `flags` are Finder's."""

    cnid: int
    parent: int
    name: str
    kind: Kind
    mode: int
    flags: int
    fork: Fork
    signature: bytes
    owner_flags: int


class Volume:
    """A volume at the start of what `read` reads, `size` bytes long: its name, flags and items."""

    def __init__(self, read: Read, size: int) -> None:
        self.read, self.size = read, size
        self.block = self.blocks = 0
        try:
            found = list(self._open())
        except struct.error as error:
            raise damaged("a record is cut short") from error
        roots = [item for item in found if item.cnid == ROOT]
        if len(roots) != 1:
            raise damaged("it has no root folder")
        self.name, self.root_flags = roots[0].name, roots[0].flags
        self.items = tuple(item for item in found if item.cnid != ROOT)

    def chunks(self, fork: Fork) -> Iterator[bytes]:
        """Yield a fork's bytes in order, at most 1 MiB at a time."""
        left = fork.size
        for start, count in fork.extents:
            at, end = start * self.block, (start + count) * self.block
            while left and at < end:
                piece = self.read(at, min(MEBI, left, end - at))
                yield piece
                at += len(piece)
                left -= len(piece)
        if left:
            raise damaged("a file's bytes are not all there")

    def paths(self) -> Iterator[tuple[str, Item]]:
        """Yield every item a Mac shows, with its path from the volume's root."""
        folders = {item.cnid: item for item in self.items if item.kind == "dir"}
        known: dict[int, str | None] = {ROOT: ""}
        for item in self.items:
            prefix = _prefix(item.parent, folders, known)
            if prefix is not None and not _private(item):
                yield prefix + _safe(item.name), item

    def _open(self) -> Iterator[Item]:
        header = self.read(2 * SECTOR, SECTOR)
        if header[:2] not in (b"H+", b"HX"):
            raise ImageFault("the disk image holds no HFS+ volume")
        self.block, self.blocks = BLOCKS.unpack_from(header, BLOCKS_AT)
        if self.block not in (512 << i for i in range(12)) or self.block * self.blocks > self.size:
            raise damaged("its header makes no sense")
        forks = [header[at : at + FORK.size] for at in range(records.FORKS_AT, SECTOR, FORK.size)]
        extents = self._fork(forks[1], {}, 0)
        overflow = dict(self._overflow(extents)) if extents.size else {}
        catalog = self._fork(forks[2], overflow, CATALOG_CNID)
        for record in self._leaves(catalog):
            if item := self._item(record, overflow):
                yield item

    def _fork(self, data: bytes, overflow: dict[tuple[int, int], tuple[int, int]], cnid: int) -> Fork:
        """Unpack fork data; runs beyond the eighth come from the extents tree, by their place in the file."""
        size, _, blocks, extents = FORK.unpack(data)
        runs = [run for run in EXTENT.iter_unpack(extents) if run[1]]
        have = sum(count for _, count in runs)
        while have < blocks and (run := overflow.get((cnid, have))):
            runs.append(run)
            have += run[1]
        if have < -(-size // self.block) or any(start + count > self.blocks for start, count in runs):
            raise damaged("a file lies outside of it")
        return Fork(size, tuple(runs))

    def _overflow(self, fork: Fork) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        for record in self._leaves(fork):
            _, kind, _, cnid, place = EXTENTS_KEY.unpack_from(record)
            if kind == DATA_FORK:
                for run in EXTENT.iter_unpack(record[EXTENTS_KEY.size : EXTENTS_KEY.size + 8 * EXTENT.size]):
                    if run[1]:
                        yield (cnid, place), run
                        place += run[1]

    def _leaves(self, fork: Fork) -> Iterator[bytes]:
        """Yield the tree's leaf records in order."""
        first = next(self.chunks(fork), b"")
        _, _, _, leaf, _, node_size, _, total, *_ = btree.HEADER.unpack_from(first, btree.DESCRIPTOR.size)
        if node_size not in NODE_SIZES or total * node_size > fork.size:
            raise damaged("a tree's header makes no sense")
        seen = 0
        while leaf:
            if leaf >= total or (seen := seen + 1) > total:
                raise damaged("its leaves run in a circle")
            node = self._part(fork, leaf * node_size, node_size)
            leaf, _, kind, _, count, _ = btree.DESCRIPTOR.unpack_from(node)
            if kind != btree.LEAF:
                raise damaged("its leaves are out of order")
            yield from _records(node, count)

    def _part(self, fork: Fork, offset: int, size: int) -> bytes:
        """Return bytes `offset` to `offset + size` of a fork."""
        parts = []
        for start, count in fork.extents:
            length = count * self.block
            if offset < length and size:
                take = min(size, length - offset)
                parts.append(self.read(start * self.block + offset, take))
                size -= take
                offset = length
            offset -= length
        return b"".join(parts)

    def _item(self, record: bytes, overflow: dict[tuple[int, int], tuple[int, int]]) -> Item | None:
        """Unpack a file's or folder's record; None for a thread."""
        key_length, parent, count = KEY.unpack_from(record)
        if key_length != 6 + 2 * count or len(record) < KEY.size + 2 * count:
            raise damaged("a name is cut short")
        name = names.decode(struct.unpack_from(f">{count}H", record, KEY.size))
        data = record[key_length + 2 :]
        kind = int.from_bytes(data[:2], "big")
        if kind not in (records.FOLDER_RECORD, records.FILE_RECORD):
            return None
        fields = records.COMMON.unpack_from(data)
        cnid, owner_flags, mode, signature, flags = fields[3], fields[12], fields[13], fields[15], fields[16]
        folder, size = kind == records.FOLDER_RECORD, records.COMMON.size
        fork = Fork(0, ()) if folder else self._fork(data[size : size + FORK.size], overflow, cnid)
        shape: Kind = "dir" if folder else "link" if stat.S_ISLNK(mode) else "file"
        if (cnid == ROOT) != (parent == ROOT_PARENT):
            raise damaged("its root is not where it should be")
        return Item(cnid, parent, name, shape, stat.S_IMODE(mode), flags, fork, signature, owner_flags)


def damaged(how: str) -> ImageFault:
    """The fault of a volume that contradicts itself."""
    return ImageFault(f"the disk image's volume is damaged: {how}")


def _records(node: bytes, count: int) -> Iterator[bytes]:
    """Yield a node's records, found by the table of offsets at its end."""
    if 2 * (count + 1) > len(node) - btree.DESCRIPTOR.size:
        raise damaged("a node has more records than fit")
    offsets = struct.unpack(f">{count + 1}H", node[-2 * (count + 1) :])[::-1]
    for begin, end in itertools.pairwise(offsets):
        if not btree.DESCRIPTOR.size <= begin < end <= len(node):
            raise damaged("a node's records overlap")
        yield node[begin:end]


def _prefix(cnid: int, folders: dict[int, Item], known: dict[int, str | None]) -> str | None:
    """Path of folder `cnid` with a "/" behind it; None inside the file system's private folders."""
    chain: list[Item] = []
    while cnid not in known:
        if cnid not in folders or len(chain) > MAX_PATH:
            raise damaged("a file is in no folder")
        chain.append(folders[cnid])
        cnid = folders[cnid].parent
    path = known[cnid]
    for folder in reversed(chain):
        path = None if path is None or _private(folder) else f"{path}{_safe(folder.name)}/"
        known[folder.cnid] = path
    return path


def _private(item: Item) -> bool:
    return item.parent == ROOT and item.name in _PRIVATE


def _safe(name: str) -> str:
    """Return `name`, unless it could lead out of the folder it is in, or is none."""
    if name in ("", ".", "..") or "\0" in name or "/" in name:
        raise damaged(f"a file has the impossible name {name!r}")
    return name
