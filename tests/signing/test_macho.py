from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import Fault
from signing import macho
from signing.binary import Malformed
from tests.signing import machos

THIN = machos.macho()
BOTH = machos.both()


def slices(data: bytes) -> tuple[macho.Slice, ...]:
    return macho.slices(memoryview(data))


def test_reads_a_thin_program(tmp_path: Path) -> None:
    (part,) = macho.read(machos.write(tmp_path / "tiny", machos.macho("x86_64")))
    assert (part.arch, part.is_main, part.offset) == ("x86_64", True, 0)
    assert part.signature() is None
    assert [each.name for each in part.segments()] == ["__PAGEZERO", "__TEXT", "__LINKEDIT"]


def test_reads_both_slices_of_a_universal_file() -> None:
    parts = slices(BOTH)
    assert [part.arch for part in parts] == ["x86_64", "arm64"]
    assert all(bytes(part.data) == machos.macho(part.arch) for part in parts)


def test_tells_a_program_from_a_library() -> None:
    (part,) = slices(machos.macho(kind=machos.DYLIB, name="@rpath/libx.dylib"))
    assert not part.is_main
    assert slices(THIN)[0].is_main


@pytest.mark.parametrize("room", [0, 8, 15, 16, 64])
def test_measures_the_room_for_another_command(room: int) -> None:
    assert slices(machos.macho(room=room))[0].header_room() == room


def test_finds_an_embedded_property_list() -> None:
    (part,) = slices(machos.macho(info=b"<plist/>"))
    assert part.section("__TEXT", "__info_plist") == b"<plist/>"
    assert part.section("__TEXT", "__nothing") is None


def test_tells_mach_o_from_other_files(tmp_path: Path) -> None:
    def is_macho(data: bytes) -> bool:
        return macho.is_macho(machos.write(tmp_path / "file", data))

    assert is_macho(THIN)
    assert is_macho(BOTH)
    assert not is_macho(b"")
    assert not is_macho(b"#!/bin/sh\n")
    assert not is_macho(bytes.fromhex("cafebabe0000003d")), "a Java class of version 61"


def test_gaps_of_a_universal_file_are_its_padding() -> None:
    parts = slices(BOTH)
    covered = sum(len(part.data) for part in parts) + 8 + 20 * 2
    assert sum(map(len, macho.gaps(memoryview(BOTH), parts))) == len(BOTH) - covered
    assert list(macho.gaps(memoryview(THIN), slices(THIN))) == []


def patched(data: bytes, at: int, layout: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "too short"),
        (b"\xcf\xfa\xed\xfe", "too short"),
        (b"nothing at all, but long enough", "does not start"),
        (THIN[:40], "outside"),
        (patched(THIN, 16, "<I", 1 << 31), "load commands"),
        (patched(THIN, 20, "<I", 1 << 31), "outside"),
        (patched(THIN, 36, "<I", 0), "impossible size"),
        (patched(THIN, 36, "<I", 7), "impossible size"),
        (patched(THIN, 36, "<I", 1 << 31), "impossible size"),
        (patched(THIN, 16, "<I", 2), "do not fill"),
        (patched(BOTH, 4, ">I", 0), "0 slices"),
        (patched(BOTH, 4, ">I", 1 << 30), "slices"),
        (patched(BOTH, 8, ">I", 7), "not of the architecture"),
        (patched(BOTH, 16, ">I", 16), "misplaced"),
        (patched(BOTH, 20, ">I", 1 << 30), "outside"),
        (patched(BOTH, 24, ">I", 63), "misplaced"),
        (machos.universal({"arm64": BOTH}), "does not start|architecture"),
    ],
)
def test_refuses_what_does_not_add_up(data: bytes, what: str) -> None:
    with pytest.raises(Malformed, match=what):
        slices(data)


def test_refuses_a_signature_outside_of_the_file() -> None:
    command = struct.pack("<4I", 0x1D, 16, len(THIN) - 4, 64)
    changed = bytearray(THIN)
    end = 32 + struct.unpack_from("<I", THIN, 20)[0]
    changed[end : end + 16] = command
    struct.pack_into("<II", changed, 16, struct.unpack_from("<I", THIN, 16)[0] + 1, end - 32 + 16)
    with pytest.raises(Malformed, match="code signature"):
        slices(bytes(changed))[0].signature()


def test_names_the_file(tmp_path: Path) -> None:
    path = machos.write(tmp_path / "broken", b"\xcf\xfa\xed\xfe" + bytes(20))
    with pytest.raises(Malformed) as caught:
        macho.read(path)
    assert caught.value.where == str(path)
    with pytest.raises(Fault, match="cannot be read"):
        macho.read(tmp_path / "absent")


def look_at_everything(data: bytes) -> None:
    parts = slices(data)
    list(macho.gaps(memoryview(data), parts))
    for part in parts:
        part.signature(), part.header_room()
        part.section("__TEXT", "__text")


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_bytes_in_the_headers_are_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([THIN, BOTH, machos.macho(kind=machos.DYLIB)])))
    limit = min(len(raw), 0x4000 + 700)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, limit - 4) | st.integers(0, 600))
        raw[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    del raw[data.draw(st.integers(0, len(raw)) | st.just(len(raw))) :]
    with suppress(Malformed):
        look_at_everything(bytes(raw))
