from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from release.image import background, window
from release.image.faults import ImageFault
from release.image.plan import BACKGROUND, ImagePlan
from release.image.portable import build_portable
from tests.release.image import trees


def test_background_has_the_window_at_both_scales(tmp_path: Path):
    background.write_tiff(BACKGROUND, tmp_path / "b.tiff")
    with Image.open(tmp_path / "b.tiff") as picture:
        pages = []
        for page in range(2):
            picture.seek(page)
            pages.append((picture.size, picture.info["dpi"], picture.info["compression"], picture.mode))
        assert picture.n_frames == 2  # type: ignore[attr-defined]
    assert pages == [((720, 432), (72, 72), "tiff_lzw", "RGB"), ((1440, 864), (144, 144), "tiff_lzw", "RGB")]


def test_background_is_the_same_each_time_and_small(tmp_path: Path):
    for name in ("a", "b"):
        background.write_tiff(BACKGROUND, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 200_000


def test_background_needs_no_font():
    assert "<text" not in BACKGROUND.read_text("utf-8")


def test_background_is_light_under_labels_and_white_at_the_open_edges():
    picture = background.draw(BACKGROUND, 1)
    for x in (190, 530):
        label = picture.crop((x - 60, 276, x + 60, 300)).convert("L")
        assert min(label.tobytes()) > 225
    for edge in ((719, 0, 720, 432), (0, 431, 720, 432)):
        assert min(picture.crop(edge).tobytes()) >= 250


def test_background_that_is_no_drawing(tmp_path: Path):
    (tmp_path / "b.svg").write_text("<svg", "utf-8")
    with pytest.raises(ImageFault, match="cannot be drawn"):
        background.write_tiff(tmp_path / "b.svg", tmp_path / "b.tiff")


@pytest.fixture
def image(plan: ImagePlan, tmp_path: Path) -> Path:
    build_portable(plan, tmp_path / "x.dmg")
    return tmp_path / "x.dmg"


@pytest.mark.parametrize("scale", [1, 2])
def test_the_picture_shows_app_and_link_in_their_places(image: Path, scale: int, tmp_path: Path):
    window.render_window(image, tmp_path / "w.png", scale)
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.size == ((720 + 2 * window.MARGIN) * scale, (432 + 2 * window.MARGIN) * scale)
        pixels = picture.convert("RGB")

    def at(x: int, y: int) -> tuple[int, ...]:
        found = pixels.getpixel(((window.MARGIN + x) * scale, (window.MARGIN + window.TITLE_BAR + y) * scale))
        assert isinstance(found, tuple)
        return found

    red, green, blue = at(190 + 10, 224)
    assert red > 150 > green + blue  # the fixture's red icon
    red, green, blue = at(530, 224 + 30)
    assert blue > red + 30  # the folder
    plain = background.draw(BACKGROUND, 1)
    assert max(abs(a - b) for a, b in zip(at(360, 40), plain.getpixel((360, 40)), strict=True)) <= 2  # type: ignore[arg-type]


def test_the_picture_follows_the_image(plan: ImagePlan, tmp_path: Path):
    build_portable(replace(plan, window=(500, 300), icon_size=64), tmp_path / "x.dmg")
    with window.DiskImage.open(tmp_path / "x.dmg") as opened:  # type: ignore[attr-defined]
        found = window.read_window(opened)
    assert (found.title, found.size, found.icon_size) == ("Little App", (500, 300), 64)
    assert found.places["Applications"] == (310, 224)
    assert found.background == ".background.tiff"


def test_an_image_without_a_look_is_a_fault(tmp_path: Path):
    trees.make(tmp_path / "root", {"a": b"1"})
    trees.image(tmp_path / "root", tmp_path / "x.dmg")
    with pytest.raises(ImageFault, match="no such file"):
        window.render_window(tmp_path / "x.dmg", tmp_path / "w.png")
