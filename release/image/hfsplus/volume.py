"""A whole HFS+ volume, laid out without gaps and produced as a stream: no scratch file, little memory.

Blocks of 4 KiB, in this order: volume header, allocation bitmap, extents overflow tree (empty: no file is in
pieces), attributes tree (empty), catalog, the files in catalog order, and the copy of the header.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from release.image.faults import ImageFault
from release.image.hfsplus import btree, names, records
from release.image.hfsplus.records import BLOCK, EMPTY, SECTOR, Fork, VolumeHeader
from release.image.hfsplus.tree import FIRST_USER, ROOT, Node

MEBI = 1 << 20
BITS = 8 * BLOCK  # blocks that one block of bitmap accounts for


class Volume:
    """`nodes` (from tree.scan, root first) as a volume, everything on it dated `created` (since 1970).

    The files' own times don't go along: they say when an input was unpacked, not what is in it.
    """

    def __init__(self, nodes: Sequence[Node], *, created: int) -> None:
        self.nodes, self.created = nodes, created
        self.name = names.decode(nodes[0].units)
        self._extents = btree.build(btree.EXTENTS, ())
        self._attributes = btree.build(btree.ATTRIBUTES, ())
        catalog = Fork(0, len(self._catalog(0)))
        data = sum(Fork(0, node.size).blocks for node in nodes)
        trees = len(self._extents) + len(self._attributes) + catalog.size
        self._blocks = _with_bitmap(1 + trees // BLOCK + data + 1)
        self._allocation = Fork(1, -(-self._blocks // BITS) * BLOCK)
        self._data_start = 1 + (self._allocation.size + trees) // BLOCK

    @property
    def size(self) -> int:
        """Bytes of the volume."""
        return self._blocks * BLOCK

    def chunks(self) -> Iterator[bytes]:
        """Yield the volume from its first byte to its last, in pieces of at most 1 MiB.

        Raises ImageFault if a file is no longer as long as it was.
        """
        header = self._header().pack()
        yield bytes(2 * SECTOR) + header + bytes(BLOCK - 3 * SECTOR)
        yield self._bitmap()
        yield self._extents
        yield self._attributes
        yield self._catalog(self._data_start)
        for node in self.nodes:
            yield from _content(node)
        yield bytes(BLOCK - 2 * SECTOR) + header + bytes(SECTOR)

    def _bitmap(self) -> bytes:
        whole, rest = divmod(self._blocks, 8)
        used = b"\xff" * whole + bytes([0xFF00 >> rest & 0xFF] if rest else ())
        return used.ljust(self._allocation.size, b"\0")

    def _header(self) -> VolumeHeader:
        extents = Fork(1 + self._allocation.blocks, len(self._extents))
        attributes = Fork(extents.start + extents.blocks, len(self._attributes))
        start = attributes.start + attributes.blocks
        kinds = Counter(node.kind == "dir" for node in self.nodes)
        identity = f"{self.name}\0{self.created}\0{self._blocks}\0{len(self.nodes)}"
        return VolumeHeader(
            created=self.created,
            files=kinds[False],
            folders=kinds[True] - 1,
            blocks=self._blocks,
            next_cnid=FIRST_USER + len(self.nodes) - 1,
            open_folder=ROOT,
            unique_id=hashlib.sha256(identity.encode()).digest()[:8],
            allocation=self._allocation,
            extents=extents,
            catalog=Fork(start, (self._data_start - start) * BLOCK),
            attributes=attributes,
        )

    def _catalog(self, start: int) -> bytes:
        """Build the catalog with the files' data from block `start` on; its length does not depend on it."""
        valence = Counter(node.parent for node in self.nodes)
        rows = []
        for node in self.nodes:
            fork = Fork(start, node.size) if node.size else EMPTY
            start += fork.blocks
            record = records.item(node, valence=valence[node.cnid], fork=fork, created=self.created)
            rows.append(
                ((node.parent, names.folded(node.units)), records.key(node.parent, node.units), record)
            )
            rows.append(((node.cnid, ()), records.key(node.cnid), records.thread(node)))
        rows.sort(key=lambda row: row[0])
        return btree.build(btree.CATALOG, [(key, record) for _, key, record in rows])


def _with_bitmap(blocks: int) -> int:
    """Total blocks of a volume that needs `blocks` besides its allocation bitmap."""
    bitmap = 1
    while -(-(blocks + bitmap) // BITS) > bitmap:
        bitmap += 1
    return blocks + bitmap


def _content(node: Node) -> Iterator[bytes]:
    """The node's data, filled up to whole blocks."""
    if not node.size:
        return
    if node.source is None:
        yield node.target
    else:
        yield from _file(node.source, node.size)
    yield bytes(-node.size % BLOCK)


def _file(source: Path, size: int) -> Iterator[bytes]:
    with source.open("rb", buffering=0) as file:
        left = size
        while left and (piece := file.read(min(MEBI, left))):
            left -= len(piece)
            yield piece
        if left or os.fstat(file.fileno()).st_size != size:
            raise ImageFault("a file changed while it was being copied", where=source, cure="run it again")
