"""Installer packages: made here, read by the project, by dpp-py and by 7z."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import subprocess
import zlib
from pathlib import Path
from xml.sax.saxutils import escape

import dpp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import Exit, Fault
from release.inputs.payload import chunks
from release.inputs.pkg import is_package, unpack_package
from tests.release.image.trees import seven_zip

Entries = list[tuple[str, int, bytes]]
FILES: Entries = [
    (".", 0o040755, b""),
    ("./Versions", 0o040755, b""),
    ("./Versions/3.11", 0o040755, b""),
    ("./Versions/3.11/Python", 0o100755, b"\xcf\xfa\xed\xfe" + bytes(range(256)) * 700),
    ("./Versions/3.11/größe.txt", 0o100644, b"odd"),
    ("./Versions/3.11/empty", 0o100644, b""),
    ("./Versions/Current", 0o120755, b"3.11"),
    ("./Applications", 0o120755, b"/Applications/Python"),
]


def old_cpio(entries: Entries) -> bytes:
    """The old portable form, as python.org's packages have it."""
    out = b""
    for name, mode, data in [*entries, ("TRAILER!!!", 0, b"")]:
        raw = name.encode() + b"\0"
        out += b"070707" + b"%06o%06o%06o" % (1, 1, mode) + b"%06o" % 0 * 4
        out += b"%011o%06o%011o" % (0, len(raw), len(data)) + raw + data
    return out + bytes(-len(out) % 512)


def new_cpio(entries: Entries) -> bytes:
    out = b""
    for name, mode, data in [*entries, ("TRAILER!!!", 0, b"")]:
        raw = name.encode() + b"\0"
        numbers = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        out += b"070701" + b"".join(b"%08x" % number for number in numbers) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def pbzx(data: bytes, size: int = 1 << 16) -> bytes:
    out = b"pbzx" + struct.pack(">Q", 1 << 24)
    parts = [data[index : index + size] for index in range(0, len(data), size)]
    for index, part in enumerate(parts):
        packed = lzma.compress(part, lzma.FORMAT_XZ)
        packed = packed if len(packed) < len(part) else part
        more = 0 if index == len(parts) - 1 else 1 << 24
        out += struct.pack(">QQ", more | len(part) if more else 0, len(packed)) + packed
    return out


def xar(files: dict[str, bytes], encoding: str = "octet-stream") -> bytes:
    """A xar archive of `folder/name` files, without checksums."""
    heap, tree = b"", ""
    for index, (path, data) in enumerate(files.items()):
        folder, _, name = path.rpartition("/")
        packed = {"octet-stream": data, "x-gzip": zlib.compress(data)}[encoding]
        data_element = (
            f"<offset>{len(heap)}</offset><length>{len(packed)}</length><size>{len(data)}</size>"
            f'<encoding style="application/{encoding}"/>'
        )
        head = f"<name>{escape(name)}</name><type>file</type>"
        entry = f'<file id="{index}">{head}<data>{data_element}</data></file>'
        if folder:
            entry = f'<file id="9{index}"><name>{folder}</name><type>directory</type>{entry}</file>'
        heap += packed
        tree += entry
    table = f'<?xml version="1.0" encoding="UTF-8"?><xar><toc>{tree}</toc></xar>'.encode()
    packed_table = zlib.compress(table)
    return struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed_table), len(table), 0) + packed_table + heap


@pytest.fixture(params=["gzip", "pbzx", "plain", "gzip in gzip"])
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    cpio = new_cpio(FILES) if request.param == "pbzx" else old_cpio(FILES)
    payload = cpio
    if request.param == "pbzx":
        payload = pbzx(cpio)
    elif request.param != "plain":
        payload = gzip.compress(cpio)
    path = tmp_path / "python.pkg"
    files = {"Distribution": b"<x/>", "Python_Framework.pkg/PackageInfo": b"<y/>"}
    encoding = "x-gzip" if request.param == "gzip in gzip" else "octet-stream"
    path.write_bytes(xar({**files, "Python_Framework.pkg/Payload": payload}, encoding))
    return path


def unpacked(package: Path, folder: Path, **more: object) -> Path:
    folder.mkdir()
    unpack_package(package, folder, **more)  # type: ignore[arg-type]
    return folder


def test_every_form_gives_the_same_tree(package: Path, tmp_path: Path) -> None:
    assert is_package(package)
    root = unpacked(package, tmp_path / "out") / "Python_Framework.pkg"
    assert (root / "Versions/3.11/Python").read_bytes() == FILES[3][2]
    assert (root / "Versions/3.11/Python").stat().st_mode & 0o111
    assert not (root / "Versions/3.11/größe.txt").stat().st_mode & 0o111
    assert (root / "Versions/3.11/empty").read_bytes() == b""
    assert (root / "Versions/Current").readlink() == Path("3.11")
    assert not (root / "Applications").is_symlink()


def test_others_read_what_was_made(package: Path) -> None:
    with dpp.XarArchive.open(str(package)) as archive:
        assert {each.path.lstrip("/") for each in archive.files if each.file_type == "file"} == {
            "Distribution",
            "Python_Framework.pkg/PackageInfo",
            "Python_Framework.pkg/Payload",
        }
    listed = subprocess.run([seven_zip(), "t", package], capture_output=True, text=True, check=False)
    assert "Everything is Ok" in listed.stdout, listed.stdout


def test_a_package_that_others_made(tmp_path: Path) -> None:
    builder = dpp.CpioBuilder()
    builder.add_directory("./Versions", mode=0o755)
    builder.add_file("./Versions/Python", b"library" * 100_000, mode=0o755)
    builder.add_symlink("./Versions/Current", "Python")
    writer = dpp.PbzxWriter(str(tmp_path / "Payload"))
    writer.write_cpio(bytes(builder.finish()))
    writer.finish()
    path = tmp_path / "one.pkg"
    path.write_bytes(xar({"Payload": (tmp_path / "Payload").read_bytes(), "PackageInfo": b"<x/>"}))
    root = unpacked(path, tmp_path / "out")
    assert (root / "Versions/Python").read_bytes() == b"library" * 100_000
    assert (root / "Versions/Current").readlink() == Path("Python")


def test_only_the_payloads_that_are_kept(package: Path, tmp_path: Path) -> None:
    assert not list(unpacked(package, tmp_path / "out", keep=lambda name: "Docs" in name).iterdir())


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_nothing_lands_outside(tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.pkg"
    path.write_bytes(xar({"X.pkg/Payload": old_cpio([(name, 0o100644, b"x")])}))
    with pytest.raises(Fault) as caught:
        unpacked(path, tmp_path / "out")
    assert caught.value.status == Exit.INPUT_HASH
    assert not list(tmp_path.rglob("evil"))
    path.write_bytes(xar({"../Payload": old_cpio(FILES)}))
    with pytest.raises(Fault):
        unpacked(path, tmp_path / "out2")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    entries: Entries = [("l", 0o120755, b"."), ("l/x", 0o100644, b"x")]
    path = tmp_path / "evil.pkg"
    path.write_bytes(xar({"X.pkg/Payload": old_cpio(entries)}))
    with pytest.raises(Fault) as caught:
        unpacked(path, tmp_path / "out")
    assert caught.value.status == Exit.INPUT_HASH


@given(data=st.data())
def test_damage_is_a_fault(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    small = [entry for entry in FILES if len(entry[2]) < 100]
    whole = bytearray(xar({"X.pkg/Payload": gzip.compress(old_cpio(small), mtime=0)}))
    cut = data.draw(st.integers(0, len(whole)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damage")
    (folder / "x.pkg").write_bytes(whole[:cut])
    try:
        unpacked(folder / "x.pkg", folder / "out")
    except Fault as fault:
        assert fault.status == Exit.INPUT_HASH


@given(st.binary(max_size=5000), st.integers(1, 2000))
def test_pbzx_round_trip(data: bytes, size: int) -> None:
    if data:
        assert b"".join(chunks(io.BytesIO(pbzx(data, size)))) == data
