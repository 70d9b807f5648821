"""The pictures that are drawn without a release: here, the site's icon for browsers that take no SVG."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PIL import Image, ImageChops
from PIL.IcoImagePlugin import IcoImageFile

from release.bundle.icon import render
from release.pictures import FAVICON, FAVICON_SIZES, ICON, draw_favicon

ROOT = Path(__file__).resolve().parents[2]


def test_the_favicon_is_the_icon_at_each_size(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ICON.parent, tmp_path / ICON.parent)
    (tmp_path / FAVICON).parent.mkdir(parents=True)
    assert draw_favicon(tmp_path) == FAVICON
    for ico in (tmp_path / FAVICON, ROOT / FAVICON):
        with Image.open(ico) as found:
            assert isinstance(found, IcoImageFile)
            assert found.ico.sizes() == {(size, size) for size in FAVICON_SIZES}
            for size in FAVICON_SIZES:
                wanted = Image.open(io.BytesIO(render(ROOT / ICON, size))).convert("RGBA")
                frame = found.ico.getimage((size, size)).convert("RGBA")
                assert ImageChops.difference(frame, wanted).getbbox() is None


def test_the_favicon_is_small() -> None:
    assert (ROOT / FAVICON).stat().st_size < 8192
