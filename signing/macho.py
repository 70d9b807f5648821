"""Mach-O files as far as signing needs them: slices, load commands, where the signature lies.

Layouts follow Apple's <mach-o/loader.h>, <mach-o/fat.h> and <mach/machine.h>. Only little-endian slices are
read: every Mac since 2006.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import Fault
from signing.binary import Malformed, cut, mapped, unpack

FAT, FAT_64 = 0xCAFEBABE, 0xCAFEBABF
THIN, THIN_64 = 0xFEEDFACE, 0xFEEDFACF
MAGICS = frozenset(
    (struct.pack(">I", FAT), struct.pack(">I", FAT_64), struct.pack("<I", THIN), struct.pack("<I", THIN_64))
)

ARCHITECTURES = {7: "i386", 12: "arm", 0x0100_0007: "x86_64", 0x0100_000C: "arm64"}
ARM64, ARM64E = 0x0100_000C, 2
SUBTYPE_MASK = 0x00FF_FFFF  # the top byte of a subtype holds capability bits

EXECUTE = 2
LC_SEGMENT, LC_SEGMENT_64 = 0x1, 0x19
LC_CODE_SIGNATURE = 0x1D
ZERO_FILL = frozenset((0x1, 0xC, 0x12))

MAX_SLICES, MAX_COMMANDS, MAX_SECTIONS = 32, 20_000, 4_096  # far above anything real, far below a hang
SIGNATURE_COMMAND_SIZE = 16

_FAT_HEADER, _FAT_ARCH, _FAT_ARCH_64 = struct.Struct(">II"), struct.Struct(">5I"), struct.Struct(">IIQQII")
_HEADER = struct.Struct("<7I")
_COMMAND = struct.Struct("<II")
_SEGMENT, _SEGMENT_64 = struct.Struct("<16s8I"), struct.Struct("<16s4Q4I")
_SECTION, _SECTION_64 = struct.Struct("<16s16s9I"), struct.Struct("<16s16sQQ8I")
_LINKEDIT_DATA = struct.Struct("<4I")


@dataclass(frozen=True, slots=True)
class Command:
    """One load command: its number, and where its bytes lie in the slice."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """One section; `offset` counts from the start of the slice."""

    segment: str
    name: str
    offset: int
    size: int
    kind: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `offset` and `size` are its file range, from the start of the slice."""

    name: str
    offset: int
    size: int
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """One architecture's Mach-O: `data` is exactly its bytes, `offset` where they start in the file."""

    data: memoryview
    offset: int
    cpu: int
    subtype: int
    kind: int
    header_size: int
    commands: tuple[Command, ...]

    @property
    def arch(self) -> str:
        """The architecture as lipo names it."""
        if self.cpu == ARM64 and self.subtype & SUBTYPE_MASK == ARM64E:
            return "arm64e"
        return ARCHITECTURES.get(self.cpu, f"cpu-{self.cpu:#x}")

    @property
    def is_main(self) -> bool:
        """Whether this is a program, rather than a library or plug-in."""
        return self.kind == EXECUTE

    def find(self, *numbers: int) -> Iterator[Command]:
        """The load commands with one of these numbers, in file order."""
        return (command for command in self.commands if command.number in numbers)

    def segments(self) -> Iterator[Segment]:
        """Every segment with its sections."""
        return (_segment(self.data, command) for command in self.find(LC_SEGMENT, LC_SEGMENT_64))

    def signature(self) -> tuple[int, int] | None:
        """Offset and size of the space for the code signature, from the slice's start; None if unsigned."""
        found = list(self.find(LC_CODE_SIGNATURE))
        if len(found) > 1:
            raise Malformed("has more than one code signature command")
        if not found:
            return None
        _, _, offset, size = unpack(_LINKEDIT_DATA, self.data, found[0].offset, "the signature command")
        cut(self.data, offset, size, "the code signature")
        return offset, size

    def section(self, segment: str, name: str) -> bytes | None:
        """The bytes of one section, or None if there is none by that name."""
        for entry in self.segments():
            for part in entry.sections:
                if (part.segment, part.name) == (segment, name):
                    return bytes(cut(self.data, part.offset, part.size, f"section {name}"))
        return None

    def header_room(self) -> int:
        """Bytes free between the load commands and the first section: what a new command may use."""
        used = self.header_size + sum(command.size for command in self.commands)
        starts = [
            part.offset
            for entry in self.segments()
            for part in entry.sections
            if part.size and part.kind not in ZERO_FILL
        ]
        return min(starts, default=len(self.data)) - used


def read(path: Path) -> tuple[Slice, ...]:
    """Every slice of the Mach-O at `path`; Malformed, naming the file, if it is not a sound one."""
    try:
        return slices(mapped(path))
    except Malformed as error:
        raise Malformed(error.what, where=path) from error


def slices(data: memoryview) -> tuple[Slice, ...]:
    """Every slice of a thin or universal Mach-O."""
    if len(data) < _FAT_HEADER.size:
        raise Malformed("is too short for a Mach-O")
    magic, count = _FAT_HEADER.unpack(data[: _FAT_HEADER.size])
    if magic not in (FAT, FAT_64):
        return (_slice(data, 0),)
    if not 0 < count <= MAX_SLICES:
        raise Malformed(f"is a universal Mach-O of {count} slices")
    return tuple(_universal(data, count, _FAT_ARCH if magic == FAT else _FAT_ARCH_64))


def is_macho(path: Path) -> bool:
    """Whether a regular file starts like a Mach-O. Java class files share a magic and are told apart."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise Fault(f"cannot be read: {error.strerror or error}", where=path) from error
    if head[:4] not in MAGICS:
        return False
    universal = head[:4] in (struct.pack(">I", FAT), struct.pack(">I", FAT_64))
    return not universal or (len(head) == 8 and 0 < int.from_bytes(head[4:], "big") <= MAX_SLICES)


def gaps(data: memoryview, parts: tuple[Slice, ...]) -> Iterator[memoryview]:
    """What lies between a universal file's header and slices, and after the last: padding, by rights zero."""
    if not parts or (len(parts) == 1 and parts[0].offset == 0 and len(parts[0].data) == len(data)):
        return
    entry = _FAT_ARCH if data[:4] == struct.pack(">I", FAT) else _FAT_ARCH_64
    position = _FAT_HEADER.size + entry.size * len(parts)
    for part in sorted(parts, key=lambda each: each.offset):
        yield data[position : part.offset]
        position = part.offset + len(part.data)
    yield data[position:]


def _universal(data: memoryview, count: int, layout: struct.Struct) -> Iterator[Slice]:
    end, seen = _FAT_HEADER.size + count * layout.size, set()
    for index in range(count):
        fields = unpack(layout, data, _FAT_HEADER.size + index * layout.size, "the table of slices")
        cpu, subtype, offset, size, align = fields[:5]
        if layout is _FAT_ARCH_64 and fields[5]:
            raise Malformed("the table of slices has a value in a reserved field")
        if offset < end or align > 15 or offset % (1 << align):
            raise Malformed(f"slice {index} of the universal Mach-O is misplaced")
        part = _slice(cut(data, offset, size, f"slice {index}"), offset)
        if (part.cpu, part.subtype) != (cpu, subtype):
            raise Malformed(f"slice {index} is not of the architecture the table of slices gives")
        if part.arch in seen:
            raise Malformed(f"has more than one slice for {part.arch}")
        seen.add(part.arch)
        yield part
        end = offset + size  # tables list slices in file order; overlaps are refused by the check above


def _slice(data: memoryview, offset: int) -> Slice:
    magic, cpu, subtype, kind, count, size, _flags = unpack(_HEADER, data, 0, "the Mach-O header")
    if magic not in (THIN, THIN_64):
        raise Malformed("does not start like a Mach-O")
    header_size = 32 if magic == THIN_64 else 28
    return Slice(data, offset, cpu, subtype, kind, header_size, _commands(data, header_size, count, size))


def _commands(data: memoryview, start: int, count: int, size: int) -> tuple[Command, ...]:
    if count > MAX_COMMANDS:
        raise Malformed(f"claims {count} load commands")
    cut(data, start, size, "the load commands")
    found, offset, end = [], start, start + size
    for _ in range(count):
        number, length = unpack(_COMMAND, data, offset, "a load command")
        if length < _COMMAND.size or length % 4 or offset + length > end:
            raise Malformed(f"a load command has the impossible size {length}")
        found.append(Command(number, offset, length))
        offset += length
    if offset != end:
        raise Malformed("the load commands do not fill the space the header gives them")
    return tuple(found)


def _segment(data: memoryview, command: Command) -> Segment:
    wide = command.number == LC_SEGMENT_64
    layout, entry = (_SEGMENT_64, _SECTION_64) if wide else (_SEGMENT, _SECTION)
    fields = unpack(layout, data, command.offset + _COMMAND.size, "a segment")
    name, _, _, offset, size, _, _, count, _ = fields
    start = command.offset + _COMMAND.size + layout.size
    if count > MAX_SECTIONS or start + count * entry.size > command.offset + command.size:
        raise Malformed(f"a segment claims {count} sections")
    sections = (_section(data, start + index * entry.size, entry) for index in range(count))
    return Segment(_label(name), offset, size, tuple(sections))


def _section(data: memoryview, at: int, layout: struct.Struct) -> Section:
    name, segment, _, size, offset, _, _, _, flags, *_ = unpack(layout, data, at, "a section")
    return Section(_label(segment), _label(name), offset, size, flags & 0xFF)


def _label(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")
