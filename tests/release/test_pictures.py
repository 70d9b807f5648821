"""The site's icon for browsers that take no SVG, and what the app's pictures ask for first."""

from __future__ import annotations

import io
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from PIL.IcoImagePlugin import IcoImageFile

from app.preferences import DEFAULT_PORT
from errors import Exit, Fault
from release.bundle.icon import render
from release.pictures import FAVICON, FAVICON_SIZES, ICON, PORT, draw_favicon, require_free

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


def test_the_app_is_drawn_on_its_own_port_only() -> None:
    assert PORT == DEFAULT_PORT
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Fault, match=f"port {port} of this machine is in use") as caught:
            require_free(port)
        assert caught.value.status == Exit.TOOL
    require_free(port)
