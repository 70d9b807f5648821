"""Reading a disk image without a Mac: the tree in it, its files' bytes, and whether its checksums hold.

Reads any UDIF image with an HFS+ volume that we or hdiutil write, signed and stapled ones too. Nothing is
unpacked but what is asked for, a chunk at a time. Damage of any kind ends in an ImageFault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from release.image.faults import ImageFault
from release.image.hfsplus import catalog, names, records
from release.image.hfsplus.catalog import Item
from release.image.hfsplus.tree import Kind
from release.image.udif.disk import Disk, located
from release.image.udif.trailer import SECTOR, Trailer

MAX_TARGET = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One item: `path` from the volume's root without a leading "/", names decomposed as they are stored.

    `mode` are permission bits, `size` bytes (a link's are its target's), `flags` Finder's.
    """

    path: str
    kind: Kind
    mode: int
    size: int
    target: str | None
    flags: int = 0


class DiskImage:
    """An open image; a context manager."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        start, size = _volume(disk)
        self._volume = catalog.Volume(
            lambda at, count: disk.read(start + _within(at, count, size), count), size
        )
        found = list(self._volume.paths())
        self._items = dict(sorted(found, key=lambda pair: pair[0]))
        if len(self._items) != len(found):
            raise catalog.damaged("two files have one name")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the image at `path`; raises ImageFault if it is no image, damaged, or holds no HFS+ volume."""
        disk = Disk(path)
        try:
            return cls(disk)
        except ImageFault as fault:
            disk.close()
            raise located(fault, path) from fault
        except BaseException:
            disk.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._disk.close()

    @property
    def volume_name(self) -> str:
        """Name the volume mounts under."""
        return self._volume.name

    @property
    def custom_icon(self) -> bool:
        """Whether the volume says that it has an icon of its own."""
        return bool(self._volume.root_flags & records.HAS_CUSTOM_ICON)

    @property
    def trailer(self) -> Trailer:
        """The image's trailer, with the place of its code signature."""
        return self._disk.trailer

    def checksums(self) -> list[str]:
        """Recompute all checksums of the image; return what is wrong, nothing if they hold."""
        return self._disk.checksums()

    def entries(self) -> list[Entry]:
        """Everything on the volume, sorted by path."""
        return [
            Entry(
                path=path,
                kind=item.kind,
                mode=item.mode,
                size=item.fork.size,
                target=self._target(item) if item.kind == "link" else None,
                flags=item.flags,
            )
            for path, item in self._items.items()
        ]

    def read(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes, at most 1 MiB at a time; raises ImageFault if there is no such file."""
        item = self._items.get(path) or self._items.get(names.decompose(path))
        if item is None or item.kind != "file":
            raise ImageFault("there is no such file on the disk image", where=f"{self._disk.path}: {path}")
        if item.owner_flags & catalog.COMPRESSED or item.signature == records.HARD_LINK_TYPE:
            raise ImageFault("the file is a hard link or compressed by the file system", where=path)
        return self._volume.chunks(item.fork)

    def extract(self, dst: Path) -> None:
        """Copy everything into the folder `dst`, with modes and links; what is there already is a fault."""
        try:
            self._extract(dst)
        except OSError as error:
            where = error.filename or dst
            raise ImageFault(f"the disk image cannot be unpacked: {error.strerror}", where=where) from error

    def _extract(self, dst: Path) -> None:
        # Files lie on the disk in the order of their extents: read so, each chunk is unpacked once.
        dst.mkdir(parents=True, exist_ok=True)
        folders = [(path, item) for path, item in self._items.items() if item.kind == "dir"]
        for path, _ in folders:
            (dst / path).mkdir()
        rest = [(item.fork.extents, path, item) for path, item in self._items.items() if item.kind != "dir"]
        for _, path, item in sorted(rest, key=lambda row: (row[2].kind == "link", row[0])):
            if item.kind == "link":
                (dst / path).symlink_to(self._target(item))
            else:
                self._write(path, item, dst / path)
        for path, item in reversed(folders):
            (dst / path).chmod(item.mode & 0o777)

    def _write(self, path: str, item: Item, dst: Path) -> None:
        with dst.open("xb") as file:
            file.writelines(self.read(path))
        dst.chmod(item.mode & 0o777)

    def _target(self, item: Item) -> str:
        if item.fork.size > MAX_TARGET:
            raise catalog.damaged("a link's target is too long")
        return os.fsdecode(b"".join(self._volume.chunks(item.fork)))


def _within(offset: int, count: int, size: int) -> int:
    if not 0 <= offset <= offset + count <= size:
        raise catalog.damaged("something lies outside of it")
    return offset


def _volume(disk: Disk) -> tuple[int, int]:
    """Find the HFS+ volume: offset on the disk and size, in bytes."""
    for table in disk.tables:
        start, size = table.sector * SECTOR, table.sectors * SECTOR
        if size > 3 * SECTOR and disk.read(start + 2 * SECTOR, 2) in (b"H+", b"HX"):
            return start, size
    raise ImageFault("the disk image holds no HFS+ volume")
