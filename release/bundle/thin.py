"""Fat Mach-O files: take the slices that are wanted, or put two files together.

A fat file is a big-endian table (magic 0xcafebabe, a count, then for each slice CPU type, CPU subtype,
offset, size, alignment as a power of two) followed by the slices. <mach-o/fat.h>
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from release.bundle.spec import BundleFault

FAT_MAGIC = b"\xca\xfe\xba\xbe"
THIN_MAGICS = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")
CPU_TYPES = {"x86_64": 0x01000007, "arm64": 0x0100000C}
PAGE_BITS = 14  # slices begin at multiples of 16 KB: arm64's page, and x86_64's too
MOST_SLICES = 16  # a Java class file has the same magic, and a version of 45 or more where the count is


@dataclass(frozen=True, slots=True)
class Slice:
    """One architecture's part of a file. `offset`, `size` in bytes; `cpu`, `subtype` as Apple has them."""

    cpu: int
    subtype: int
    offset: int
    size: int

    @property
    def arch(self) -> str:
        """Its name, or the number for one that has no name here."""
        return next((name for name, cpu in CPU_TYPES.items() if cpu == self.cpu), f"{self.cpu:#x}")


def slices_of(path: Path) -> tuple[Slice, ...]:
    """Read which slices the file has; a thin Mach-O is one, anything else none."""
    with path.open("rb") as file:
        head = file.read(8 + 20 * MOST_SLICES)
    if head[:4] in THIN_MAGICS and len(head) >= 12:
        cpu, subtype = struct.unpack_from("<II", head, 4)
        return (Slice(cpu, subtype, 0, path.stat().st_size),)
    if head[:4] != FAT_MAGIC or len(head) < 8:
        return ()
    (count,) = struct.unpack_from(">I", head, 4)
    if not 0 < count <= MOST_SLICES or len(head) < 8 + 20 * count:
        return ()
    rows = (struct.unpack_from(">IIIII", head, 8 + 20 * row) for row in range(count))
    return tuple(Slice(cpu, subtype, offset, size) for cpu, subtype, offset, size, _align in rows)


def files(root: Path) -> Iterator[Path]:
    """Give every regular file under `root`, links left out, in a fixed order."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        yield from (path for name in sorted(names) if not (path := Path(folder, name)).is_symlink())


def thin_tree(root: Path, arches: Collection[str]) -> int:
    """Reduce every fat Mach-O under `root` to `arches`; give the bytes saved. Raises BundleFault."""
    return sum(thin_file(path, arches) for path in files(root))


def thin_file(path: Path, arches: Collection[str]) -> int:
    """Reduce one file to `arches`, keeping its mode; give the bytes saved. Not a Mach-O: leave it alone."""
    present = slices_of(path)
    if not present:
        return 0
    lacking = sorted(set(arches) - {one.arch for one in present})
    if lacking:
        raise BundleFault(
            f"This Mach-O has no {' and no '.join(lacking)} code",
            where=path,
            cure="choose another arch in release.toml, or inputs that have it",
        )
    wanted = tuple(one for one in present if one.arch in arches)
    if len(wanted) == len(present):
        return 0
    data = path.read_bytes()
    parts = [(one, data[one.offset : one.offset + one.size]) for one in wanted]
    _replace(path, parts[0][1] if len(parts) == 1 else _fat(parts), path.stat().st_mode)
    return len(data) - path.stat().st_size


def fuse(sources: Sequence[Path], dst: Path) -> None:
    """Write `dst`, a fat file of the thin Mach-O `sources`, with the first one's mode. Raises BundleFault."""
    parts = [(_only_slice(source), source.read_bytes()) for source in sources]
    if len({one.arch for one, _ in parts}) != len(parts):
        raise BundleFault("Two files have the same architecture", where=", ".join(map(str, sources)))
    _replace(dst, _fat(sorted(parts, key=lambda part: part[0].cpu)), sources[0].stat().st_mode)


def _only_slice(path: Path) -> Slice:
    found = slices_of(path)
    if len(found) != 1:
        raise BundleFault("Not a Mach-O of one architecture", where=path)
    return found[0]


def _fat(parts: Sequence[tuple[Slice, bytes]]) -> bytes:
    page = 1 << PAGE_BITS
    table = bytearray(struct.pack(">II", 0xCAFEBABE, len(parts)))
    body = bytearray()
    for one, data in parts:
        body += bytes(-len(body) % page)
        table += struct.pack(">IIIII", one.cpu, one.subtype, page + len(body), len(data), PAGE_BITS)
        body += data
    return bytes(table.ljust(page, b"\0") + body)


def _replace(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.chmod(mode & 0o777)
    temporary.replace(path)
