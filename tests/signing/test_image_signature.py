from __future__ import annotations

import struct
from pathlib import Path

import pytest

from signing import image_signature
from signing.binary import Malformed
from signing.identity import Identity
from signing.portable import Portable
from signing.staple import staple_image
from signing.verify import verify_image
from tests.signing.changes import unnoticed


def image(path: Path, size: int = 3000) -> Path:
    """A disk image as far as a signature is concerned: data, a property list, and the trailer."""
    data = bytes(range(256)) * (size // 256)
    plist = b'<?xml version="1.0"?><plist version="1.0"><dict/></plist>'
    koly = bytearray(512)
    struct.pack_into(">4sIII", koly, 0, b"koly", 4, 512, 1)
    struct.pack_into(">QQ", koly, 0x20, len(data), 0)
    struct.pack_into(">QQ", koly, 0xD8, len(data), len(plist))
    path.write_bytes(data + plist + koly)
    return path


@pytest.fixture
def signed(tmp_path: Path, signer: Portable) -> Path:
    signer.sign_image(image(tmp_path / "a.dmg"), tmp_path / "signed.dmg", identifier="com.example.tiny.dmg")
    return tmp_path / "signed.dmg"


def test_accepts_a_signed_image(signed: Path, identity: Identity) -> None:
    report = verify_image(signed, trust=identity.certificate_pem, exact=True)
    assert list(report.all_problems()) == []
    assert (report.identifier, report.team_id) == ("com.example.tiny.dmg", "TINYTEAM12")


def test_a_stapled_image_keeps_its_signature(signed: Path, tmp_path: Path) -> None:
    staple_image(signed, tmp_path / "stapled.dmg", b"ticket" * 20)
    report = verify_image(tmp_path / "stapled.dmg", exact=True)
    assert list(report.all_problems()) == []
    assert report.cdhash == verify_image(signed).cdhash


def test_notices_changed_bytes(signed: Path, tmp_path: Path) -> None:
    data = signed.read_bytes()
    assert unnoticed(data, _holds(tmp_path / "changed.dmg"), range(3, len(data), 17)) == []


@pytest.mark.slow
def test_notices_a_change_of_any_byte(signed: Path, tmp_path: Path) -> None:
    data = signed.read_bytes()
    assert unnoticed(data, _holds(tmp_path / "changed.dmg"), range(len(data))) == []


def _holds(path: Path):
    def check(data: bytes) -> bool:
        path.write_bytes(data)
        return verify_image(path, exact=True).ok

    return check


def test_notices_what_was_added_or_cut(signed: Path, tmp_path: Path) -> None:
    data = signed.read_bytes()
    for changed in (data[:-1], data[1:], data + b"\0", data[:-512] + b"\0" + data[-512:], b""):
        (tmp_path / "changed.dmg").write_bytes(changed)
        assert not verify_image(tmp_path / "changed.dmg").ok


def test_an_unsigned_image_is_no_fault(tmp_path: Path) -> None:
    report = verify_image(image(tmp_path / "a.dmg"))
    assert [problem.what for problem in report.problems] == ["is not signed"]


def test_refuses_an_impossible_trailer() -> None:
    trailer = bytearray(512)
    struct.pack_into(">QQ", trailer, 0xD8, (1 << 64) - 1, 1)
    with pytest.raises(Malformed):
        image_signature.signed_trailer(bytes(trailer))
    with pytest.raises(Malformed):
        image_signature.parts(memoryview(bytes(600)))
