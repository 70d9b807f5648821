"""What goes onto a volume: folders on disk, read once into a flat list of nodes."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from release.image.faults import ImageFault
from release.image.hfsplus import names

Kind = Literal["file", "dir", "link"]

ROOT_PARENT = 1
ROOT = 2
FIRST_USER = 16  # the numbers below are the volume's own

NO_FLAGS: Mapping[str, int] = {}
NO_GRAFTS: Mapping[str, Path] = {}


@dataclass(frozen=True, slots=True)
class Node:
    """One file, folder or link. `units` is its name on the volume; `size` is in bytes, 0 for a folder.

    `source` is the file whose bytes it gets; a link carries its target in `target`. `flags` are Finder's.
    """

    cnid: int
    parent: int
    units: names.Units
    kind: Kind
    mode: int
    size: int = 0
    source: Path | None = None
    target: bytes = b""
    flags: int = 0


def scan(
    root: Path,
    volume_name: str,
    *,
    grafts: Mapping[str, Path] = NO_GRAFTS,
    flags: Mapping[str, int] = NO_FLAGS,
    first: Collection[str] = (),
) -> tuple[Node, ...]:
    """Read the tree under `root` into nodes, the volume's root first, ordered by names alone.

    `grafts` puts trees from elsewhere at paths of the volume (name in the root → folder or file), `flags`
    gives Finder flags by path ("" is the root), and `first` names files of the root that get the lowest
    catalog numbers, in case something has to refer to them by number. Raises ImageFault for what a volume
    cannot hold: sockets and the like, and names that differ by case alone.
    """
    numbers = itertools.count(FIRST_USER)
    nodes = [Node(ROOT, ROOT_PARENT, names.encode(volume_name), "dir", 0o755, flags=flags.get("", 0))]
    pending = [(root, ROOT, "")]
    while pending:
        folder, parent, prefix = pending.pop()
        extra = grafts if parent == ROOT else NO_GRAFTS
        for name, path in _listing(folder, extra, first if parent == ROOT else ()):
            inside = prefix + name
            node = _node(path, name, next(numbers), parent, flags.get(inside, 0))
            nodes.append(node)
            if node.kind == "dir":
                pending.append((path, node.cnid, inside + "/"))
    return tuple(nodes)


def _listing(folder: Path, extra: Mapping[str, Path], first: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Names and paths of a folder's entries in the volume's order, `first` in front."""
    found = {path.name: path for path in folder.iterdir()} | dict(extra)
    keys = {name: names.folded(names.encode(name)) for name in found}
    previous = None
    for name in sorted(found, key=lambda name: (keys[name], name)):
        if previous is not None and keys[previous] == keys[name]:
            raise ImageFault(
                f"{previous!r} and {name!r} are the same name on a Mac's disk",
                where=folder,
                cure="rename one",
            )
        previous = name
    ordered = sorted(found, key=lambda name: (name not in first, keys[name]))
    return ((name, found[name]) for name in ordered)


def _node(path: Path, name: str, cnid: int, parent: int, flags: int) -> Node:
    status = path.lstat()
    units, mode = names.encode(name), stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Node(cnid, parent, units, "dir", mode, flags=flags)
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(path.readlink())
        return Node(cnid, parent, units, "link", 0o755, len(target), target=target, flags=flags)
    if stat.S_ISREG(status.st_mode):
        return Node(cnid, parent, units, "file", mode, status.st_size, source=path, flags=flags)
    raise ImageFault("only files, folders and symbolic links can go into an image", where=path)
