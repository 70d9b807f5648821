"""A picture of the window a disk image opens with, drawn from what is on the image and nothing else.

Bounds, places and background come out of its .DS_Store, icons out of its bundles: so the picture shows what
Finder was told, which no Mac is needed to look at.
"""

from __future__ import annotations

import io
import plistlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import resvg_py
from ds_store import DSStore
from mac_alias import Alias
from PIL import Image, ImageDraw, ImageFont

from release.image.faults import ImageFault
from release.image.hfsplus.records import IS_INVISIBLE
from release.image.plan import ASSETS
from release.image.reader import DiskImage, Entry

TITLE_BAR = 28  # points
MARGIN = 48  # points around the window, for its shadow
LABEL_GAP = 6  # points from an icon to its label

INK, TITLE_INK = (17, 17, 17), (60, 60, 67)

_FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}">
<defs><filter id="s" x="-20%" y="-20%" width="140%" height="150%">
<feGaussianBlur stdDeviation="14"/></filter></defs>
<rect x="{m}" y="{sy}" width="{iw}" height="{ih}" rx="12" fill="#18233f" opacity=".28" filter="url(#s)"/>
<rect x="{m}" y="{m}" width="{iw}" height="{ih}" rx="11" fill="#ffffff"/>
<path d="M{m} {by}v-{r}a11 11 0 0 1 11-11h{tw}a11 11 0 0 1 11 11v{r}z" fill="#eceef1"/>
<path d="M{m} {ly}h{iw}" stroke="#d3d6dc"/>
<circle cx="{x1}" cy="{cy}" r="6" fill="#ff5f57" stroke="#e0443e" stroke-width=".5"/>
<circle cx="{x2}" cy="{cy}" r="6" fill="#febc2e" stroke="#d89e24" stroke-width=".5"/>
<circle cx="{x3}" cy="{cy}" r="6" fill="#28c840" stroke="#1aab29" stroke-width=".5"/>
</svg>"""

_MASK = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}">
<path d="M0 0h{w}v{r}a11 11 0 0 1-11 11h-{b}a11 11 0 0 1-11-11z" fill="#fff"/></svg>"""


@dataclass(frozen=True, slots=True)
class Window:
    """What Finder is told of an image's window; sizes and places in points, `size` with the title bar."""

    title: str
    size: tuple[int, int]
    icon_size: int
    text_size: float
    places: dict[str, tuple[int, int]]
    background: str | None


def read_window(image: DiskImage) -> Window:
    """Read the window's settings from the image's .DS_Store; raises ImageFault if they are not there."""
    with DSStore.open(io.BytesIO(_all(image, ".DS_Store")), "r+") as store:
        found: dict[tuple[str, bytes], Any] = {(entry.filename, entry.code): entry.value for entry in store}
    try:
        bounds, view = found[".", b"bwsp"]["WindowBounds"], found[".", b"icvp"]
    except KeyError as error:
        raise ImageFault("the disk image does not say how its window looks", where=".DS_Store") from error
    _, _, width, height = (float(number) for number in bounds.replace("{", "").replace("}", "").split(","))
    picture = view.get("backgroundImageAlias")
    return Window(
        title=image.volume_name,
        size=(round(width), round(height)),
        icon_size=round(view["iconSize"]),
        text_size=view["textSize"],
        places={name: value for (name, code), value in found.items() if code == b"Iloc"},
        background=None if picture is None else Alias.from_bytes(picture).target.posix_path.lstrip("/"),
    )


def render_window(dmg: Path, dst_png: Path, scale: int = 2) -> None:
    """Draw the window of `dmg` into `dst_png` at `scale` pixels a point, with its frame and shadow."""
    with DiskImage.open(dmg) as image:
        window = read_window(image)
        canvas = _frame(window, scale)
        content = _content(image, window, scale)
        for entry, place in _shown(image, window):
            _put(content, _icon(image, entry, window.icon_size * scale), place, scale)
            _label(content, entry, window, place, scale)
    at = (MARGIN * scale, (MARGIN + TITLE_BAR) * scale)
    canvas.paste(content, at, _bottom_corners(window, scale))
    scratch = dst_png.with_name(f".{dst_png.name}.part")
    dst_png.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(scratch, format="PNG", optimize=True)
    scratch.replace(dst_png)


def _shown(image: DiskImage, window: Window) -> Iterator[tuple[Entry, tuple[int, int]]]:
    for entry in image.entries():
        hidden = "/" in entry.path or entry.path.startswith(".") or entry.flags & IS_INVISIBLE
        if not hidden and entry.path in window.places:
            yield entry, window.places[entry.path]


def _all(image: DiskImage, path: str) -> bytes:
    return b"".join(image.read(path))


def _svg(source: str, scale: float) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=source, zoom=scale, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _frame(window: Window, scale: int) -> Image.Image:
    """Draw shadow, title bar, buttons and title around an empty window."""
    width, height = window.size
    source = _FRAME.format(
        w=width + 2 * MARGIN, h=height + 2 * MARGIN, m=MARGIN, iw=width, ih=height, sy=MARGIN + 14,
        tw=width - 22, by=MARGIN + TITLE_BAR, r=TITLE_BAR - 11, ly=MARGIN + TITLE_BAR - 0.5,
        cy=MARGIN + TITLE_BAR / 2, x1=MARGIN + 16, x2=MARGIN + 36, x3=MARGIN + 56,
    )  # fmt: skip
    canvas = _svg(source, scale)
    middle = ((MARGIN + width / 2) * scale, (MARGIN + TITLE_BAR / 2) * scale)
    font = ImageFont.load_default(13 * scale)
    ImageDraw.Draw(canvas).text(
        middle, window.title, TITLE_INK, font, anchor="mm", stroke_width=scale * 0.15, stroke_fill=TITLE_INK
    )
    return canvas


def _content(image: DiskImage, window: Window, scale: int) -> Image.Image:
    """Paint the background picture, top left as Finder has it, in the page that fits the screen's scale."""
    width, height = window.size[0] * scale, (window.size[1] - TITLE_BAR) * scale
    content = Image.new("RGBA", (width, height), "white")
    if window.background:
        picture = _page(Image.open(io.BytesIO(_all(image, window.background))), scale)
        content.paste(picture.convert("RGB"), (0, 0))
    return content


def _page(picture: Image.Image, scale: int) -> Image.Image:
    """Choose the picture's page of 72 × `scale` dots an inch, else scale the last one by its own dots."""
    for page in range(getattr(picture, "n_frames", 1)):
        picture.seek(page)
        if round(_dpi(picture) / 72) == scale:
            return picture.copy()
    ratio = 72 * scale / _dpi(picture)
    return picture.resize(
        (round(picture.width * ratio), round(picture.height * ratio)), Image.Resampling.LANCZOS
    )


def _dpi(picture: Image.Image) -> float:
    return float(picture.info.get("dpi", (72, 72))[0])


def _icon(image: DiskImage, entry: Entry, size: int) -> Image.Image:
    if entry.kind == "dir" and entry.path.endswith(".app"):
        return _app_icon(image, entry.path, size)
    icon = _sized(_svg((ASSETS / "folder.svg").read_text("utf-8"), size / 256), size)
    if entry.kind == "link":
        badge = round(size * 0.3)
        icon.alpha_composite(
            _sized(_svg((ASSETS / "link.svg").read_text("utf-8"), 4), badge),
            (round(size * 0.02), size - badge),
        )
    return icon


def _app_icon(image: DiskImage, app: str, size: int) -> Image.Image:
    info = plistlib.loads(_all(image, f"{app}/Contents/Info.plist"))
    name = Path(str(info.get("CFBundleIconFile", ""))).with_suffix(".icns").name
    return _sized(Image.open(io.BytesIO(_all(image, f"{app}/Contents/Resources/{name}"))), size)


def _sized(icon: Image.Image, size: int) -> Image.Image:
    return icon.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)


def _put(content: Image.Image, icon: Image.Image, place: tuple[int, int], scale: int) -> None:
    x, y = place
    content.alpha_composite(icon, (x * scale - icon.width // 2, y * scale - icon.height // 2))


def _label(content: Image.Image, entry: Entry, window: Window, place: tuple[int, int], scale: int) -> None:
    x, y = place
    top = (y + window.icon_size / 2 + LABEL_GAP) * scale
    font = ImageFont.load_default(window.text_size * scale)
    ImageDraw.Draw(content).text((x * scale, top), entry.path.removesuffix(".app"), INK, font, anchor="ma")


def _bottom_corners(window: Window, scale: int) -> Image.Image:
    """Mask that rounds the window's lower corners."""
    width, height = window.size[0], window.size[1] - TITLE_BAR
    return _svg(_MASK.format(w=width, h=height, r=height - 11, b=width - 22), scale).getchannel("A")
