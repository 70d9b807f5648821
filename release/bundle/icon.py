"""The app's icon: one drawing, rendered at every size a Mac asks for, in one .icns file."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import resvg_py
from PIL import Image

from errors import Exit
from release.bundle.spec import BundleFault

# The types of an .icns, with the pixels of a side. A type stands for a size in points and a scale, so 32, 256
# and 512 pixels occur twice. All hold a PNG but the first two: raw channels, as iconutil writes them.
RAW = ("ic04", "ic05")
TYPES: tuple[tuple[str, int], ...] = (
    ("ic04", 16),  # 16
    ("ic05", 32),  # 32
    ("ic11", 32),  # 16@2x
    ("ic12", 64),  # 32@2x
    ("ic07", 128),  # 128
    ("ic13", 256),  # 128@2x
    ("ic08", 256),  # 256
    ("ic14", 512),  # 256@2x
    ("ic09", 512),  # 512
    ("ic10", 1024),  # 512@2x
)
LONGEST_RUN, LONGEST_LITERAL = 130, 128
HEADER = struct.Struct(">4sI")  # a four-letter type, then the length in bytes with this header counted


def icns(svg: Path, dst: Path) -> None:
    """Render the drawing at `svg` at all sizes and write the .icns at `dst`. Raises BundleFault."""
    pictures = {size: render(svg, size) for size in sorted({size for _, size in TYPES})}
    temporary = dst.with_name(f".{dst.name}.new")
    temporary.write_bytes(pack(pictures))
    temporary.replace(dst)


def source_for(svg: Path, size: int) -> Path:
    """Give the drawing to use for `size` pixels: a simpler one stands beside it for the smallest."""
    small = svg.with_name(f"{svg.stem}-small{svg.suffix}")
    return small if size <= 32 and small.is_file() else svg


def render(svg: Path, size: int) -> bytes:
    """Render the drawing as a PNG of `size` by `size` pixels. Raises BundleFault."""
    source = source_for(svg, size)
    try:
        drawing = source.read_text("utf-8")
        # No fonts are looked for: there is no text, and this system's must not decide anything.
        return bytes(
            resvg_py.svg_to_bytes(svg_string=drawing, width=size, height=size, skip_system_fonts=True)
        )
    except (OSError, ValueError) as error:
        raise BundleFault(
            "The icon can't be drawn", where=source, details=(str(error),), status=Exit.INPUT_MISSING
        ) from error


def pack(pictures: Mapping[int, bytes]) -> bytes:
    """Put PNGs, by the pixels of their side, into an .icns: after magic and length, type, length, data."""
    parts = ((kind, argb(pictures[size]) if kind in RAW else pictures[size]) for kind, size in TYPES)
    body = b"".join(HEADER.pack(kind.encode(), HEADER.size + len(data)) + data for kind, data in parts)
    return HEADER.pack(b"icns", HEADER.size + len(body)) + body


def argb(png: bytes) -> bytes:
    """Turn a PNG into what ic04 and ic05 hold: "ARGB", then the four channels, each run-length encoded."""
    channels = Image.open(io.BytesIO(png)).convert("RGBA").split()
    return b"ARGB" + b"".join(run_lengths(channels[index].tobytes()) for index in (3, 0, 1, 2))


def run_lengths(data: bytes) -> bytes:
    """Encode as .icns does: a byte n below 128 stands before n + 1 bytes as they are.

    From 128 on it stands before one byte, to be repeated n - 125 times: a run is 3 to 130 bytes long.
    """
    out, literal, at = bytearray(), bytearray(), 0
    while at < len(data):
        run = 1
        while run < LONGEST_RUN and at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run < 3:
            literal += data[at : at + 1]
            run = 1
        if literal and (run >= 3 or len(literal) == LONGEST_LITERAL):
            out += bytes([len(literal) - 1]) + literal
            literal.clear()
        if run >= 3:
            out += bytes([run + 125, data[at]])
        at += run
    return bytes(out + (bytes([len(literal) - 1]) + literal if literal else b""))


def unpack(data: bytes) -> dict[str, bytes]:
    """Give what an .icns holds, by type; raises ValueError if its lengths don't add up."""
    magic, total = HEADER.unpack_from(data)
    if magic != b"icns" or total != len(data):
        raise ValueError("not an .icns, or cut short")
    found, at = {}, HEADER.size
    while at < total:
        kind, length = HEADER.unpack_from(data, at)
        if length < HEADER.size or at + length > total:
            raise ValueError(f"{kind!r} is {length} bytes long")
        found[kind.decode("ascii")] = data[at + HEADER.size : at + length]
        at += length
    return found
