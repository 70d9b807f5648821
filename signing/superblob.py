"""The embedded signature: a table of blobs, among them the code directories.

Layouts and numbers follow Apple's <kern/cs_blobs.h> and Security's codedirectory.h, big-endian throughout.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from signing.binary import Malformed, cut, text, unpack

EMBEDDED, DIRECTORY, REQUIREMENTS, REQUIREMENT = 0xFADE0CC0, 0xFADE0C02, 0xFADE0C01, 0xFADE0C00
ENTITLEMENTS, ENTITLEMENTS_DER, LAUNCH_CONSTRAINT, WRAPPER = 0xFADE7171, 0xFADE7172, 0xFADE8181, 0xFADE0B01

SLOT_DIRECTORY, SLOT_INFO, SLOT_REQUIREMENTS, SLOT_RESOURCES, SLOT_APPLICATION = range(5)
SLOT_ENTITLEMENTS, SLOT_REP_SPECIFIC, SLOT_ENTITLEMENTS_DER = 5, 6, 7
SLOT_ALTERNATES = range(0x1000, 0x1005)
SLOT_CMS, SLOT_TICKET = 0x10000, 0x10002

MAGIC_OF_SLOT: Mapping[int, int] = {
    SLOT_DIRECTORY: DIRECTORY,
    SLOT_REQUIREMENTS: REQUIREMENTS,
    SLOT_ENTITLEMENTS: ENTITLEMENTS,
    SLOT_ENTITLEMENTS_DER: ENTITLEMENTS_DER,
    **dict.fromkeys(range(8, 12), LAUNCH_CONSTRAINT),
    **dict.fromkeys(SLOT_ALTERNATES, DIRECTORY),
    SLOT_CMS: WRAPPER,
}
SLOT_NAMES = {
    SLOT_INFO: "Info.plist",
    SLOT_REQUIREMENTS: "requirements",
    SLOT_RESOURCES: "resource seal",
    SLOT_APPLICATION: "application-specific part",
    SLOT_ENTITLEMENTS: "entitlements",
    SLOT_REP_SPECIFIC: "disk image trailer",
    SLOT_ENTITLEMENTS_DER: "DER entitlements",
    8: "own launch constraint",
    9: "parent launch constraint",
    10: "responsible launch constraint",
    11: "library constraint",
}

FLAGS = {
    0x1: "host",
    0x2: "adhoc",
    0x100: "hard",
    0x200: "kill",
    0x400: "expires",
    0x800: "restrict",
    0x1000: "enforcement",
    0x2000: "library-validation",
    0x10000: "runtime",
    0x20000: "linker-signed",
}
ADHOC, RUNTIME = 0x2, 0x10000

CDHASH_SIZE = 20
MAX_BLOBS = 64

_BLOB = struct.Struct(">II")
_SUPER = struct.Struct(">III")
_FIXED = struct.Struct(">9I4BI")
_U32 = struct.Struct(">I")
_WIDE_LIMIT = struct.Struct(">IQ")
_EXEC = struct.Struct(">3Q")
_RUNTIME = struct.Struct(">II")


def _sha1(data: bytes | memoryview) -> bytes:
    return hashlib.sha1(data).digest()


def _sha256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _sha256_truncated(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()[:20]


def _sha384(data: bytes | memoryview) -> bytes:
    return hashlib.sha384(data).digest()


HASHES: Mapping[int, tuple[Callable[[bytes | memoryview], bytes], int]] = {
    1: (_sha1, 20),
    2: (_sha256, 32),
    3: (_sha256_truncated, 20),
    4: (_sha384, 48),
}
STRENGTH = (4, 2, 3, 1)  # best first, the order Security ranks hash types in
HASH_OIDS = {1: "1.3.14.3.2.26", 2: "2.16.840.1.101.3.4.2.1", 4: "2.16.840.1.101.3.4.2.2"}


@dataclass(frozen=True, slots=True)
class CodeDirectory:
    """What a signature vouches for: hashes of every page and of everything around the code.

    `limit` is how many bytes of the file are hashed, `page` the page size in bytes (0: one page for all).
    """

    data: memoryview
    version: int
    flags: int
    identifier: str
    team_id: str | None
    hash_type: int
    hash_size: int
    hash_offset: int
    special_count: int
    page_count: int
    page: int
    limit: int
    platform: int
    exec_base: int = 0
    exec_limit: int = 0
    exec_flags: int = 0
    runtime: int = 0

    @property
    def digest(self) -> bytes:
        """The whole hash over this directory."""
        return self.hash(self.data)

    @property
    def cdhash(self) -> bytes:
        """The directory's hash cut to 20 bytes: the name macOS and the notary know the code by."""
        return self.digest[:CDHASH_SIZE]

    def hash(self, data: bytes | memoryview) -> bytes:
        """`data` hashed the way this directory hashes."""
        return HASHES[self.hash_type][0](data)

    def flag_names(self) -> tuple[str, ...]:
        """The flags as codesign prints them."""
        known = tuple(name for bit, name in FLAGS.items() if self.flags & bit)
        rest = self.flags & ~sum(FLAGS)
        return (*known, f"{rest:#x}") if rest else known

    def special(self, slot: int) -> bytes | None:
        """The hash kept for special slot `slot`; None where there is none (absent or all zero)."""
        if not 0 < slot <= self.special_count:
            return None
        start = self.hash_offset - slot * self.hash_size
        found = bytes(self.data[start : start + self.hash_size])
        return found if any(found) else None

    def wrong_pages(self, code: memoryview) -> list[int]:
        """Numbers of the pages of `code` (a slice or disk image) whose bytes are not what was signed."""
        function, size, page = HASHES[self.hash_type][0], self.hash_size, self.page or max(self.limit, 1)
        hashes = bytes(self.data[self.hash_offset : self.hash_offset + self.page_count * size])
        code = code[: self.limit]
        return [
            index
            for index in range(self.page_count)
            if function(code[index * page : index * page + page])
            != hashes[index * size : index * size + size]
        ]


@dataclass(frozen=True, slots=True)
class SuperBlob:
    """An embedded signature: its blobs by slot, each with its own header; `size` bytes in all."""

    blobs: Mapping[int, memoryview]
    size: int

    def directories(self) -> tuple[CodeDirectory, ...]:
        """The code directories: the primary one first."""
        slots = (SLOT_DIRECTORY, *SLOT_ALTERNATES)
        return tuple(directory(self.blobs[slot]) for slot in slots if slot in self.blobs)

    def payload(self, slot: int) -> bytes | None:
        """A blob's content without its header, or None."""
        blob = self.blobs.get(slot)
        return None if blob is None else bytes(blob[_BLOB.size :])


def best(directories: tuple[CodeDirectory, ...]) -> CodeDirectory:
    """The directory macOS goes by: the one with the strongest hash."""
    return min(directories, key=lambda each: STRENGTH.index(each.hash_type))


def parse(data: memoryview) -> SuperBlob:
    """The embedded signature at the start of `data`.

    Its blobs have to lie one after the other and fill it to the end, in any order, so that no byte in it goes
    unaccounted for.
    """
    magic, size, count = unpack(_SUPER, data, 0, "the signature")
    if magic != EMBEDDED:
        raise Malformed(f"the signature starts with {magic:#x}, not with an embedded signature's magic")
    if count > MAX_BLOBS:
        raise Malformed(f"the signature claims {count} parts")
    data = cut(data, 0, size, "the signature")
    blobs: dict[int, memoryview] = {}
    for slot, blob in _entries(data, count):
        if slot in blobs:
            raise Malformed(f"the signature has two parts for slot {slot:#x}")
        blobs[slot] = blob
    alternates = sorted(set(blobs) & set(SLOT_ALTERNATES))
    if SLOT_DIRECTORY not in blobs or alternates != list(SLOT_ALTERNATES[: len(alternates)]):
        raise Malformed("the signature has no code directory, or a gap in its alternate ones")
    return SuperBlob(blobs, size)


def _entries(data: memoryview, count: int) -> Iterator[tuple[int, memoryview]]:
    table = [
        unpack(_BLOB, data, _SUPER.size + index * _BLOB.size, "the signature's table")
        for index in range(count)
    ]
    expected = _SUPER.size + count * _BLOB.size
    for slot, offset in sorted(table, key=lambda entry: entry[1]):
        magic, size = unpack(_BLOB, data, offset, f"the signature's part {slot:#x}")
        if offset != expected or size < _BLOB.size:
            raise Malformed(f"the signature's part {slot:#x} overlaps another or leaves a gap")
        if magic != MAGIC_OF_SLOT.get(slot, magic if slot == SLOT_TICKET else None):
            raise Malformed(f"the signature's part {slot:#x} is of the unexpected kind {magic:#x}")
        yield slot, cut(data, offset, size, f"the signature's part {slot:#x}")
        expected = offset + size
    if expected != len(data):
        raise Malformed("the signature has bytes after its last part")


def directory(blob: memoryview) -> CodeDirectory:
    """Read a code directory of any version; a scatter list, which nothing on macOS makes, is refused."""
    fields = unpack(_FIXED, blob, 0, "the code directory")
    _, _, version, flags, hashes, name, specials, pages, limit, size, kind, platform, shift, spare = fields
    if not 0x20001 <= version <= 0x2FFFF or spare:
        raise Malformed(f"the code directory has version {version:#x}, which is not known")
    if kind not in HASHES or size != HASHES[kind][1]:
        raise Malformed(f"the code directory uses hash type {kind} of {size} bytes, which is not known")
    scatter, team, wide_limit, execution, runtime = _versioned(blob, version)
    limit = wide_limit or limit
    page = 1 << shift if shift else 0
    _check_layout(blob, hashes, size, specials, pages, limit, page, shift, scatter)
    return CodeDirectory(
        data=blob,
        version=version,
        flags=flags,
        identifier=text(blob, name, "the identifier"),
        team_id=text(blob, team, "the team id") if team else None,
        hash_type=kind,
        hash_size=size,
        hash_offset=hashes,
        special_count=specials,
        page_count=pages,
        page=page,
        limit=limit,
        platform=platform,
        exec_base=execution[0],
        exec_limit=execution[1],
        exec_flags=execution[2],
        runtime=runtime,
    )


def _versioned(blob: memoryview, version: int) -> tuple[int, int, int, tuple[int, ...], int]:
    """The fields later versions added: scatter, team, 64-bit limit, executable segment, runtime version."""
    what = "the code directory"
    scatter = unpack(_U32, blob, 44, what)[0] if version >= 0x20100 else 0
    team = unpack(_U32, blob, 48, what)[0] if version >= 0x20200 else 0
    wide = unpack(_WIDE_LIMIT, blob, 52, what)[1] if version >= 0x20300 else 0
    execution = unpack(_EXEC, blob, 64, what) if version >= 0x20400 else (0, 0, 0)
    runtime = unpack(_RUNTIME, blob, 88, what)[0] if version >= 0x20500 else 0
    return scatter, team, wide, execution, runtime


def _check_layout(
    blob: memoryview,
    hashes: int,
    size: int,
    specials: int,
    pages: int,
    limit: int,
    page: int,
    shift: int,
    scatter: int,
) -> None:
    if scatter:
        raise Malformed("the code directory has a scatter list")
    if shift > 24 or (shift and shift < 10):
        raise Malformed(f"the code directory has pages of 2^{shift} bytes")
    cut(blob, hashes - specials * size, (specials + pages) * size, "the table of hashes")
    expected = -(-limit // page) if page else min(limit, 1)
    if pages != expected:
        raise Malformed(f"the code directory has {pages} page hashes where {expected} are needed")


def requirements(blob: memoryview) -> Mapping[int, memoryview]:
    """A requirement set's members by type (3 is the designated one), each with its own header."""
    _, size, count = unpack(_SUPER, blob, 0, "the requirements")
    if size != len(blob) or count > MAX_BLOBS:
        raise Malformed("the requirements have an impossible size")
    found = {}
    for index in range(count):
        kind, offset = unpack(_BLOB, blob, _SUPER.size + index * _BLOB.size, "the requirements' table")
        magic, length = unpack(_BLOB, blob, offset, "a requirement")
        if magic != REQUIREMENT:
            raise Malformed("the requirements hold something else")
        found[kind] = cut(blob, offset, length, "a requirement")
    return found
