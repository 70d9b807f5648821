from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import apple_platform
import pytest
from apple_platform.reading import find_values
from hypothesis import given, settings
from hypothesis import strategies as st

from signing import macho, superblob
from signing.binary import Malformed

PROGRAM = "Contents/Helpers/bun"
OLD_LIBRARY = "Contents/Resources/lib/tiny.cpython-311-darwin.so"


def signature(path: Path) -> memoryview:
    part = macho.read(path)[0]
    place = part.signature()
    assert place
    return part.data[place[0] : sum(place)]


def test_reads_what_the_engine_wrote(original: Path) -> None:
    blob = superblob.parse(signature(original / PROGRAM))
    (directory,) = blob.directories()
    assert set(blob.blobs) == {0, 2, 5, 7, 0x10000}
    assert (directory.identifier, directory.team_id) == ("bun", "TINYTEAM12")
    assert directory.flag_names() == ("runtime",)
    assert (directory.hash_type, directory.special_count) == (2, 7)
    assert directory.exec_limit == 0x4000


def test_agrees_with_the_engine_on_the_cdhash(original: Path) -> None:
    directory = superblob.parse(signature(original / PROGRAM)).directories()[0]
    said = find_values(apple_platform.read_signature(original / PROGRAM), "blobs")[0]
    assert directory.digest.hex() == said[0]["sha256"]
    assert directory.cdhash == directory.digest[:20]


def test_goes_by_the_strongest_of_several_directories(original: Path) -> None:
    directories = superblob.parse(signature(original / OLD_LIBRARY)).directories()
    assert [each.hash_type for each in directories] == [1, 2]
    assert superblob.best(directories) is directories[1]


def test_names_the_pages_that_changed(original: Path) -> None:
    part = macho.read(original / PROGRAM)[0]
    directory = superblob.parse(signature(original / PROGRAM)).directories()[0]
    assert directory.wrong_pages(part.data) == []
    changed = bytearray(part.data)
    changed[2 * directory.page] ^= 1
    assert directory.wrong_pages(memoryview(changed)) == [2]


def header(data: bytes, at: int, layout: str, value: int) -> memoryview:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return memoryview(changed)


@pytest.mark.parametrize(
    ("at", "layout", "value", "what"),
    [
        (0, ">I", 0xFADE0CC1, "magic"),
        (4, ">I", 1 << 30, "outside"),
        (4, ">I", 40, "outside|overlaps|after"),
        (8, ">I", 1 << 20, "claims"),
        (8, ">I", 1, "overlaps|after|gap"),
        (12, ">I", 0x1000, "code directory"),
        (20, ">I", 0, "two parts|unexpected"),
        (16, ">I", 1 << 30, "outside|overlaps"),
        (16, ">I", 12, "overlaps|magic|kind"),
    ],
)
def test_refuses_a_table_that_does_not_add_up(
    original: Path, at: int, layout: str, value: int, what: str
) -> None:
    with pytest.raises(Malformed, match=what):
        superblob.parse(header(bytes(signature(original / PROGRAM)), at, layout, value))


@pytest.mark.parametrize(
    ("at", "layout", "value"),
    [
        (8, ">I", 0x10000),
        (8, ">I", 0x30000),
        (16, ">I", 1 << 30),
        (20, ">I", 1 << 30),
        (24, ">I", 1 << 20),
        (28, ">I", 1 << 20),
        (32, ">I", 1 << 30),
        (36, ">B", 20),
        (37, ">B", 9),
        (39, ">B", 31),
        (39, ">B", 2),
        (40, ">I", 1),
        (44, ">I", 1),
        (48, ">I", 1 << 30),
        (56, ">Q", 1 << 60),
    ],
)
def test_refuses_a_directory_that_does_not_add_up(original: Path, at: int, layout: str, value: int) -> None:
    blob = superblob.parse(signature(original / PROGRAM)).blobs[0]
    superblob.directory(blob)
    with pytest.raises(Malformed):
        superblob.directory(header(bytes(blob), at, layout, value))


def test_reads_directories_of_old_versions() -> None:
    def directory(version: int, extra: bytes = b"") -> superblob.CodeDirectory:
        fixed = 44 + len(extra)
        hashes = fixed + 5
        fields = (0xFADE0C02, hashes + 20, version, 0, hashes, fixed, 0, 1, 100, 20, 1, 0, 12, 0)
        return superblob.directory(memoryview(struct.pack(">9I4BI", *fields) + extra + b"tiny\0" + bytes(20)))

    for version, extra in (
        (0x20001, 0),
        (0x20100, 4),
        (0x20200, 8),
        (0x20300, 20),
        (0x20400, 44),
        (0x20500, 52),
    ):
        found = directory(version, bytes(extra))
        assert (found.identifier, found.team_id, found.limit, found.page) == ("tiny", None, 100, 4096)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_are_read_or_refused(original: Path, data: st.DataObject) -> None:
    raw = bytearray(signature(original / OLD_LIBRARY))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 4) | st.integers(0, 300))
        raw[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4) | st.just(b"\xff\xff\xff\xff"))
    with suppress(Malformed, KeyError):
        blob = superblob.parse(memoryview(raw))
        for directory in blob.directories():
            directory.wrong_pages(memoryview(bytes(100)))
            [directory.special(slot) for slot in range(12)]
        superblob.requirements(blob.blobs[2])
