"""The window's background picture: an SVG drawn at 1x and 2x into one TIFF, as tiffutil does on a Mac.

Finder reads each picture's size in points from its resolution, so both come out as big as the window and a
Retina screen takes the finer one. Written without system fonts (the source has none) and without dates: the
same source gives the same bytes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import resvg_py
from PIL import Image

from release.image.faults import ImageFault

POINTS_PER_INCH = 72

# Differences between neighbours pack far better than a gradient's colours: tag 317, predictor, horizontal.
PACKING: dict[str, Any] = {"compression": "tiff_lzw", "tiffinfo": {317: 2}}


def draw(svg: Path, scale: int) -> Image.Image:
    """Render `svg` at `scale` pixels a point: RGB, opaque."""
    try:
        png = resvg_py.svg_to_bytes(svg_string=svg.read_text("utf-8"), zoom=scale, skip_system_fonts=True)
    except ValueError as error:
        raise ImageFault(
            "the background picture cannot be drawn", where=svg, details=(str(error),)
        ) from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def write_tiff(svg: Path, dst: Path) -> None:
    """Draw `svg` at 72 and 144 dots an inch into the two-page, LZW-packed TIFF `dst`."""
    fine, coarse = draw(svg, 2), draw(svg, 1)
    fine.encoderinfo = {"dpi": (2 * POINTS_PER_INCH,) * 2, **PACKING}
    out = io.BytesIO()
    coarse.save(
        out,
        format="TIFF",
        save_all=True,
        append_images=[fine],
        dpi=(POINTS_PER_INCH,) * 2,
        **PACKING,
    )
    dst.write_bytes(out.getvalue())
