from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import IcnsImagePlugin, Image

from release.bundle import icon
from release.bundle.embed import ICON_SOURCE
from release.bundle.spec import BundleFault

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0H8V8Z" fill="#c42"/></svg>'


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    path = tmp_path / "icon.svg"
    path.write_text(PICTURE)
    return path


def test_every_size_is_there_and_readers_agree(drawing: Path, tmp_path: Path) -> None:
    icon.icns(drawing, tmp_path / "a.icns")
    found = icon.unpack((tmp_path / "a.icns").read_bytes())
    assert list(found) == [kind for kind, _ in icon.TYPES]
    for kind, size in icon.TYPES:
        if kind not in icon.RAW:
            assert Image.open(io.BytesIO(found[kind])).size == (size, size)
    sizes = IcnsImagePlugin.IcnsImageFile(str(tmp_path / "a.icns")).info["sizes"]
    assert {(512, 512, 2), (128, 128, 1), (256, 256, 2)} <= set(sizes)


def test_same_drawing_same_bytes(drawing: Path, tmp_path: Path) -> None:
    icon.icns(drawing, tmp_path / "a.icns")
    icon.icns(drawing, tmp_path / "b.icns")
    assert (tmp_path / "a.icns").read_bytes() == (tmp_path / "b.icns").read_bytes()


def unrun(data: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(data):
        control = data[at]
        if control < 128:
            out += data[at + 1 : at + 2 + control]
            at += 2 + control
        else:
            out += data[at + 1 : at + 2] * (control - 125)
            at += 2
    return bytes(out)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 300)), max_size=20))
def test_run_lengths_come_back(runs: list[tuple[int, int]]) -> None:
    data = b"".join(bytes([value]) * count for value, count in runs)
    assert unrun(icon.run_lengths(data)) == data


@given(st.binary(max_size=700))
def test_run_lengths_of_noise_come_back(data: bytes) -> None:
    assert unrun(icon.run_lengths(data)) == data


def test_raw_channels_are_the_picture(drawing: Path) -> None:
    png = icon.render(drawing, 16)
    raw = icon.argb(png)
    assert raw[:4] == b"ARGB"
    channels = unrun(raw[4:])
    planes = [channels[index * 256 : index * 256 + 256] for index in (1, 2, 3, 0)]
    assert (
        b"".join(bytes(pixel) for pixel in zip(*planes, strict=True))
        == Image.open(io.BytesIO(png)).convert("RGBA").tobytes()
    )
    assert len(channels) == 4 * 256


def test_small_sizes_have_a_drawing_of_their_own(drawing: Path) -> None:
    small = drawing.with_name("icon-small.svg")
    small.write_text(PICTURE.replace("#c42", "#00f"))
    assert icon.source_for(drawing, 32) == small
    assert icon.source_for(drawing, 64) == drawing
    assert icon.render(drawing, 32) != icon.render(drawing, 64)


def test_damage_is_noticed(drawing: Path, tmp_path: Path) -> None:
    icon.icns(drawing, tmp_path / "a.icns")
    data = (tmp_path / "a.icns").read_bytes()
    for bad in (data[:-1], b"icnt" + data[4:], data[:12] + struct.pack(">I", 4) + data[16:]):
        with pytest.raises(ValueError):
            icon.unpack(bad)


def test_no_drawing_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "icon.svg").write_text("<svg>")
    for name in ("icon.svg", "absent.svg"):
        with pytest.raises(BundleFault):
            icon.icns(tmp_path / name, tmp_path / "out.icns")
    assert not (tmp_path / "out.icns").exists()


def test_the_apps_icon_keeps_the_templates_margins() -> None:
    """Nothing but the shadow may stand outside the 824-point tile, and the tile is opaque."""
    opacity = Image.open(io.BytesIO(icon.render(ICON_SOURCE, 256))).convert("RGBA").getchannel("A").tobytes()

    def at(column: int, row: int) -> int:
        return opacity[256 * row + column]

    assert at(2, 128) == at(128, 2) == 0
    assert at(128, 128) == at(30, 128) == 255
    assert at(26, 26) < 40, "the corner is not round"
