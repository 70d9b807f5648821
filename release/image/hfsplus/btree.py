"""B-trees as HFS+ stores them (TN1150, "B-Trees"), built whole from sorted records."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from release.image.faults import ImageFault

Record = tuple[bytes, bytes]  # key with its length in front, data

DESCRIPTOR = struct.Struct(">IIbBHH")  # next, previous, kind, height, records, reserved
HEADER = struct.Struct(">HIIIIHHIIHIBBI64x")
POINTER = struct.Struct(">I")
LEAF, INDEX, HEADER_NODE = -1, 0, 1

BIG_KEYS = 2
VARIABLE_INDEX_KEYS = 4
CASE_FOLDING = 0xCF

_USER_RECORD = bytes(128)
_OFFSET = 2  # bytes a record costs in the node's table of offsets


@dataclass(frozen=True, slots=True)
class Kind:
    """What the header node says of a tree's keys. `node_size` in bytes."""

    node_size: int
    max_key: int
    compare: int = 0
    attributes: int = BIG_KEYS


CATALOG = Kind(8192, 516, CASE_FOLDING, BIG_KEYS | VARIABLE_INDEX_KEYS)
EXTENTS = Kind(4096, 10)
ATTRIBUTES = Kind(8192, 266, attributes=BIG_KEYS | VARIABLE_INDEX_KEYS)


@dataclass(frozen=True, slots=True)
class Header:
    """The header node's first record, as far as a reader needs it."""

    node_size: int
    first_leaf: int
    total_nodes: int


def build(kind: Kind, records: Sequence[Record]) -> bytes:
    """Lay out `records`, sorted by their keys, as a whole tree; the last node is in use."""
    levels = _levels(kind, records)
    starts = list(itertools.accumulate(map(len, levels), initial=1))
    nodes = [_header_node(kind, [len(level) for level in levels], starts, len(records))]
    for height, level in enumerate(levels):
        for i, group in enumerate(level):
            number = starts[height] + i
            following = number + 1 if i + 1 < len(level) else 0
            body = [key + data for key, data in group]
            nodes.append(
                _node(
                    kind.node_size,
                    DESCRIPTOR.pack(
                        following,
                        number - 1 if i else 0,
                        INDEX if height else LEAF,
                        height + 1,
                        len(group),
                        0,
                    ),
                    body,
                )
            )
    return b"".join(nodes)


def _levels(kind: Kind, records: Sequence[Record]) -> list[list[list[Record]]]:
    """Group records into leaves, then pointers to the nodes of each level into the next, up to one root."""
    if not records:
        return []
    levels, first_number = [list(_pack(kind.node_size, records))], 1
    while len(levels[-1]) > 1:
        pointers = [(group[0][0], POINTER.pack(first_number + i)) for i, group in enumerate(levels[-1])]
        first_number += len(levels[-1])
        levels.append(list(_pack(kind.node_size, pointers)))
    return levels


def _pack(node_size: int, records: Iterable[Record]) -> Iterator[list[Record]]:
    room = node_size - DESCRIPTOR.size - _OFFSET
    group: list[Record] = []
    used = 0
    for key, data in records:
        cost = len(key) + len(data) + _OFFSET
        if used + cost > room:
            yield group
            group, used = [], 0
        group.append((key, data))
        used += cost
    yield group


def _node(size: int, descriptor: bytes, records: Sequence[bytes]) -> bytes:
    body = descriptor + b"".join(records)
    ends = list(itertools.accumulate(map(len, records), initial=len(descriptor)))
    offsets = struct.pack(f">{len(ends)}H", *reversed(ends))
    return body + bytes(size - len(body) - len(offsets)) + offsets


def _header_node(kind: Kind, counts: Sequence[int], starts: Sequence[int], leaves: int) -> bytes:
    """Node 0: the header record, a reserved one, and the map of nodes in use (all of them)."""
    size, total, depth = kind.node_size, starts[-1], len(counts)
    header = HEADER.pack(
        depth,
        starts[depth - 1] if depth else 0,
        leaves,
        1 if depth else 0,
        counts[0] if depth else 0,
        size,
        kind.max_key,
        total,
        0,
        0,
        total * size,
        0,
        kind.compare,
        kind.attributes,
    )
    room = size - DESCRIPTOR.size - HEADER.size - len(_USER_RECORD) - 4 * _OFFSET
    if total > room * 8:
        raise ImageFault(f"the app has too many files for one image: {leaves // 2:,}")
    used = bytearray(b"\xff" * (total // 8) + bytes(room - total // 8))
    if total % 8:
        used[total // 8] = 0xFF00 >> (total % 8) & 0xFF
    return _node(size, DESCRIPTOR.pack(0, 0, HEADER_NODE, 0, 3, 0), [header, _USER_RECORD, bytes(used)])
