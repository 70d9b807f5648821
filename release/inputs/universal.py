"""Two folders, one for each of the Mac's architectures, into one for both."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from errors import Exit, Fault
from release.inputs.stub import SLICES, Slice, fat
from release.inputs.unpack import walk

THIN: Final = b"\xcf\xfa\xed\xfe"
FAT: Final = b"\xca\xfe\xba\xbe"
INTEL, ARM = SLICES


def merge(arm64: Path, x86_64: Path, target: Path) -> None:
    """Merge two folders of packages into the existing folder `target`.

    Equal files are taken as they are, Mach-O files joined. Of other files that differ (a wheel's own tags,
    say) arm64's is taken. A Mach-O that only one side has is a Fault BUNDLE: the other could not load it.
    """
    names = sorted({*_files(arm64), *_files(x86_64)})
    for name in names:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        sides = [side / name for side in (arm64, x86_64) if (side / name).is_file()]
        if len(sides) == 2 and _is_macho(sides[0]) and _is_macho(sides[1]):
            place.write_bytes(join(sides[0].read_bytes(), sides[1].read_bytes()))
            place.chmod(0o755)
        elif len(sides) == 1 and _is_macho(sides[0]) and not _both(sides[0]):
            raise Fault(
                "only one architecture has this module",
                where=name,
                cure="build for one architecture (arch in release.toml), or pin a version that has both",
                status=Exit.BUNDLE,
            )
        else:
            shutil.copy(sides[0], place)


def _files(folder: Path) -> Iterator[str]:
    for entry in walk(folder):
        if entry.is_file():
            yield Path(entry.path).relative_to(folder).as_posix()


def _is_macho(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in {THIN, FAT}


def _both(path: Path) -> bool:
    content = path.read_bytes()
    return all(find_slice(content, each) for each in SLICES)


def join(arm64: bytes, x86_64: bytes) -> bytes:
    """Take each architecture's slice from its own file; files that are equal are left as they are."""
    if arm64 == x86_64:
        return arm64
    parts = [(INTEL, find_slice(x86_64, INTEL)), (ARM, find_slice(arm64, ARM))]
    if not all(content for _, content in parts):
        raise Fault("a module is not for the architecture that it was chosen for", status=Exit.BUNDLE)
    return fat(parts)


def find_slice(content: bytes, wanted: Slice) -> bytes:
    """The bytes of one architecture in a thin or fat Mach-O; empty if it is not there."""
    if content[:4] == THIN:
        return content if struct.unpack_from("<I", content, 4)[0] == wanted.cpu_type else b""
    for index in range(struct.unpack_from(">I", content, 4)[0]):
        cpu_type, _, offset, size, _ = struct.unpack_from(">5I", content, 8 + 20 * index)
        if cpu_type == wanted.cpu_type:
            return content[offset : offset + size]
    return b""
