from __future__ import annotations

import errno
import os
import plistlib
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import lzfse
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from errors import Exit
from release.image import parallel
from release.image.faults import ImageFault
from release.image.reader import DiskImage
from release.image.udif import codecs, writer
from release.image.udif.disk import Disk
from release.image.udif.trailer import IGNORED, RAW, SECTOR, Trailer, unpack_tables
from tests.release.image import trees

FORMATS = ("UDZO", "UDBZ", "ULFO", "ULMO")
MEBI = 1 << 20


@dataclass
class Bytes:
    """A volume of any bytes."""

    data: bytes
    name: str = "Any"
    created: int = trees.EPOCH

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 777_777):
            yield self.data[at : at + 777_777]


class Broken(Bytes):
    def chunks(self) -> Iterator[bytes]:
        yield self.data[: 2 * MEBI]
        raise ZeroDivisionError


@pytest.fixture(scope="module")
def mixed() -> bytes:
    """A chunk of each sort: packable, zeros, random (stays raw), and a short last one."""
    return b"".join(
        (b"abc " * (MEBI // 4), bytes(MEBI), os.urandom(MEBI), bytes(MEBI), b"end." * (SECTOR * 3 // 4))
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image of about 50 KB with something of everything in it."""
    folder = tmp_path_factory.mktemp("small")
    trees.make(folder / "root", {"a": {"x": b"#!x" * 5000, "y": os.urandom(20_000)}, "l": "a", "e": b""})
    return trees.image(folder / "root", folder / "x.dmg").read_bytes()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_disk_comes_back(form: str, threads: int, mixed: bytes, tmp_path: Path):
    writer.write(Bytes(mixed), tmp_path / "x.dmg", form, threads=threads)
    with Disk(tmp_path / "x.dmg") as disk:
        assert disk.checksums() == []
        assert disk.read(40 * SECTOR, len(mixed)) == mixed
        assert disk.read(40 * SECTOR + MEBI - 5, MEBI + 10) == mixed[MEBI - 5 : 2 * MEBI + 5]
        (volume,) = (table for table in disk.tables if "Apple_HFS" in table.name)
        number = codecs.FORMATS[form].number
        assert [run.kind for run in volume.runs] == [number, IGNORED, RAW, IGNORED, number, 0xFFFFFFFF]


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_bytes_on_any_number_of_threads(form: str, app: Path, tmp_path: Path):
    made = [trees.image(app, tmp_path / f"{n}.dmg", form=form, threads=n).read_bytes() for n in (1, 2, 7)]
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("form", FORMATS)
def test_three_readers_agree_on_every_format(form: str, app: Path, tmp_path: Path):
    image = trees.image(app, tmp_path / "x.dmg", form=form, threads=2)
    expected = trees.on_disk(app)
    assert trees.differences(expected, trees.by_us(image)) == []
    assert trees.differences(expected, trees.by_dpp(image)) == []
    assert trees.differences(expected, trees.by_7z(image, tmp_path / "7z")) == []


def test_7z_checks_the_sums(small: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(small)
    done = subprocess.run((trees.seven_zip(), "t", str(tmp_path / "x.dmg")), capture_output=True, check=False)
    assert (done.returncode, b"Everything is Ok" in done.stdout) == (0, True)


def test_partition_map_is_sound(mixed: bytes, tmp_path: Path):
    writer.write(Bytes(mixed), tmp_path / "x.dmg", "ULFO")
    with Disk(tmp_path / "x.dmg") as disk:
        last = disk.size // SECTOR - 1
        for here, other, table in ((1, last, 2), (last, 1, last - 32)):
            header = disk.read(here * SECTOR, 92)
            fields = struct.unpack("<8s4I4Q16sQ3I", header)
            assert fields[:3] == (b"EFI PART", 0x10000, 92)
            assert fields[3] == zlib.crc32(header[:16] + bytes(4) + header[20:])
            assert (fields[5], fields[6], fields[10]) == (here, other, table)
            assert fields[13] == zlib.crc32(disk.read(table * SECTOR, 128 * 128))
        first, end = struct.unpack_from("<2Q", disk.read(2 * SECTOR, 48), 32)
        assert (first, (end - first + 1) * SECTOR) == (40, len(mixed))
        assert disk.read(510, 2) == b"\x55\xaa"


def test_progress_rises_to_the_whole_volume(mixed: bytes, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    writer.write(Bytes(mixed), tmp_path / "x.dmg", "ULFO", on_progress=lambda *step: seen.append(step))
    assert seen == sorted(seen)
    assert seen[-1] == (len(mixed), len(mixed))


def test_a_failed_write_leaves_nothing_and_what_was_there(mixed: bytes, tmp_path: Path):
    target = tmp_path / "x.dmg"
    target.write_bytes(b"the last one")
    with pytest.raises(ZeroDivisionError):
        writer.write(Broken(mixed), target, "ULFO", threads=2)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the last one"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_as_such(mixed: bytes, tmp_path: Path):
    (tmp_path / ".x.dmg.part").symlink_to("/dev/full")
    with pytest.raises(ImageFault, match="disk is full") as caught:
        writer.write(Bytes(mixed), tmp_path / "x.dmg", "ULFO")
    assert caught.value.status == Exit.DISK
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_disk_are_faults(mixed: bytes, tmp_path: Path):
    with pytest.raises(ImageFault, match="cannot be written") as caught:
        writer.write(Bytes(mixed), tmp_path / "no" / "x.dmg", "ULFO")
    assert os.strerror(errno.ENOENT) in caught.value.what


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("form", "threads"), [("ULFO", 2), ("ULFO", 64), ("ULMO", 64)])
def test_memory_stays_small(form: str, threads: int, tmp_path: Path):
    """However many cores there are, and however much there is to pack."""
    script = """
import sys
from pathlib import Path
from release.image.hfsplus import tree
from release.image.hfsplus.volume import Volume
from release.image.udif import writer
root, target, form, threads = sys.argv[1:]
writer.write(Volume(tree.scan(Path(root), "V"), created=0), Path(target), form, threads=int(threads))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    (tmp_path / "root").mkdir()
    with (tmp_path / "root/file").open("wb") as file:
        for _ in range(140 if form == "ULFO" else 25):
            file.write(os.urandom(100_000) + bytes(1_000_000))
    run = (sys.executable, "-c", script, str(tmp_path / "root"), str(tmp_path / "x.dmg"), form, str(threads))
    done = subprocess.run(
        run, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert int(done.stdout) * 1024 < 200e6


def test_work_is_done_in_order_and_not_too_far_ahead():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    for i, (item, result) in enumerate(parallel.ordered(lambda n: n * n, items(), 3)):
        assert (item, result) == (i, i * i)
        assert len(taken) <= i + 3 * parallel.AHEAD + 2


def test_an_error_in_a_thread_comes_out():
    with pytest.raises(ZeroDivisionError):
        list(parallel.ordered(lambda n: 1 // (n - 7), range(50), 2))


# --- signed, stapled


@pytest.fixture(scope="module")
def signed(small: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from signing.identity import throwaway
    from signing.portable import Portable

    folder = tmp_path_factory.mktemp("signed")
    (folder / "x.dmg").write_bytes(small)
    identity = throwaway(folder / "id", name="Developer ID Application: Test", team_id="ABCDE12345")
    signer = Portable(identity, timestamp_url=None, signing_time=datetime(2026, 1, 1, tzinfo=UTC))
    signer.sign_image(folder / "x.dmg", folder / "signed.dmg", identifier="test.image")
    return folder / "signed.dmg"


def test_a_signed_image_reads_as_before(signed: Path, small: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(small)
    with DiskImage.open(signed) as image:
        assert (image.trailer.signature_offset, image.trailer.signature_length > 1000) == (
            len(small) - SECTOR,
            True,
        )
    assert trees.by_us(signed) == trees.by_us(tmp_path / "x.dmg") == trees.by_dpp(signed)
    assert trees.by_7z(signed, tmp_path / "7z") == trees.by_us(signed)


def test_a_stapled_image_reads_as_before(signed: Path, tmp_path: Path):
    from signing.staple import staple_image

    staple_image(signed, tmp_path / "stapled.dmg", b"s8ch" + bytes(500))
    assert trees.by_us(tmp_path / "stapled.dmg") == trees.by_us(signed)


def test_a_signature_that_lies_outside_the_file_is_damage(signed: Path, tmp_path: Path):
    data = signed.read_bytes()
    trailer = Trailer.unpack(data[-SECTOR:])
    assert trailer.pack() == data[-SECTOR:]
    worse = replace(trailer, signature_length=1 << 40)
    (tmp_path / "x.dmg").write_bytes(data[:-SECTOR] + worse.pack())
    with pytest.raises(ImageFault, match="cut short"):
        DiskImage.open(tmp_path / "x.dmg")


def test_data_that_does_not_start_the_file(small: bytes, tmp_path: Path):
    """Where the trailer says so, chunks count from further on."""
    trailer = Trailer.unpack(small[-SECTOR:])
    moved = replace(trailer, data_offset=100, xml_offset=trailer.xml_offset + 100)
    (tmp_path / "x.dmg").write_bytes(bytes(100) + small[:-SECTOR] + moved.pack())
    (tmp_path / "y.dmg").write_bytes(small)
    assert trees.by_us(tmp_path / "x.dmg") == trees.by_us(tmp_path / "y.dmg")


# --- damage


def _everything(path: Path) -> list[str]:
    with DiskImage.open(path) as image:
        problems = image.checksums()
        for entry in image.entries():
            if entry.kind == "file":
                for _ in image.read(entry.path):
                    pass
        return problems


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_flipped_bytes_are_faults_or_problems(small: bytes, data: st.DataObject):
    damaged = bytearray(small)
    end = len(small) - SECTOR
    xml = Trailer.unpack(small[-SECTOR:]).xml_offset
    places = st.integers(0, len(small) - 1) | st.integers(end, len(small) - 1) | st.integers(xml, end)
    at = data.draw(places)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dmg"
        path.write_bytes(damaged)
        try:
            problems = _everything(path)
        except ImageFault as fault:
            problems = [fault.what]
    if at < xml:
        assert problems


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.integers(1, 60_000), front=st.booleans(), garbage=st.binary(max_size=600))
def test_truncated_or_padded_images_are_faults(small: bytes, cut: int, front: bool, garbage: bytes):
    assume(front or len(garbage) != cut)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.dmg"
        path.write_bytes(small[min(cut, len(small)) :] if front else small[:-cut] + garbage)
        with pytest.raises(ImageFault):
            assert _everything(path) == []


def _with_tables(image: bytes, change: tuple[bytes, bytes]) -> bytes:
    """Replace something in the property list's data of chunks."""
    trailer = Trailer.unpack(image[-SECTOR:])
    plist = plistlib.loads(image[trailer.xml_offset : trailer.xml_offset + trailer.xml_length])
    for resource in plist["resource-fork"]["blkx"]:
        resource["Data"] = resource["Data"].replace(*change)
    xml = plistlib.dumps(plist)
    return image[: trailer.xml_offset] + xml + replace(trailer, xml_length=len(xml)).pack()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"mish", b"mash"), "table of chunks"),
        ((struct.pack(">I", codecs.LZFSE), struct.pack(">I", 0x80000004)), "unknown way"),
        ((struct.pack(">I", codecs.LZFSE), struct.pack(">I", codecs.ZLIB)), "cannot be unpacked"),
        ((struct.pack(">I", codecs.LZFSE), struct.pack(">I", RAW)), "table of chunks"),
    ],
)
def test_tables_that_lie(change: tuple[bytes, bytes], message: str, small: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(_with_tables(small, change))
    with pytest.raises(ImageFault, match=message):
        _everything(tmp_path / "x.dmg")


@pytest.mark.parametrize("content", [b"", b"koly", bytes(512), b"koly" + bytes(508), b"PK\3\4" * 500])
def test_what_is_no_image(content: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(content)
    with pytest.raises(ImageFault) as caught:
        DiskImage.open(tmp_path / "x.dmg")
    assert str(tmp_path / "x.dmg") in str(caught.value)


def test_what_is_not_there_or_a_folder(tmp_path: Path):
    for path in (tmp_path / "none.dmg", tmp_path):
        with pytest.raises(ImageFault):
            DiskImage.open(path)


def test_a_disk_without_a_volume(mixed: bytes, tmp_path: Path):
    writer.write(Bytes(mixed), tmp_path / "x.dmg", "ULFO")
    with pytest.raises(ImageFault, match=r"no HFS\+ volume"):
        DiskImage.open(tmp_path / "x.dmg")


def test_no_such_file_or_no_file(small: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(small)
    with DiskImage.open(tmp_path / "x.dmg") as image:
        for path in ("nothing", "a", "l", "a/../a/x"):
            with pytest.raises(ImageFault, match="no such file"):
                image.read(path)


def test_extracting_over_something_is_a_fault(small: bytes, tmp_path: Path):
    (tmp_path / "x.dmg").write_bytes(small)
    with DiskImage.open(tmp_path / "x.dmg") as image:
        image.extract(tmp_path / "out")
        with pytest.raises(ImageFault, match="unpacked"):
            image.extract(tmp_path / "out")


def test_property_list_with_entities_is_refused():
    bomb = b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaa">]><plist><dict>&a;</dict></plist>'
    for xml in (
        bomb,
        b"",
        b"<plist",
        b"<plist><array/></plist>",
        plistlib.dumps({"resource-fork": {"blkx": []}}),
    ):
        with pytest.raises(ImageFault, match="property list"):
            unpack_tables(xml)


@pytest.mark.parametrize("form", FORMATS)
def test_a_chunk_that_unpacks_to_too_much_is_stopped(form: str):
    number = codecs.FORMATS[form].number
    packed = codecs.FORMATS[form].pack(bytes(12_000_000))
    with pytest.raises(ImageFault):
        codecs.unpack(number, packed, MEBI)
    with pytest.raises(ImageFault):
        codecs.unpack(number, packed, 14_000_000)


@pytest.mark.parametrize(
    "data",
    [b"x", b"abc" * 10_000, bytes(MEBI), os.urandom(100_000), b"ab" * 300 + os.urandom(3000)],
    ids=["a byte", "repeated", "zeros", "random", "half random"],  # the same in every process
)
def test_lzfse_lengths_are_read_from_the_stream(data: bytes):
    packed = bytes(lzfse.compress(data))
    assert codecs._lzfse_length(packed, 1 << 40) == len(data)
    assert codecs.unpack(codecs.LZFSE, packed, len(data)) == data
