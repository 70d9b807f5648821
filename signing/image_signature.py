"""Where a disk image keeps its code signature: between its data and the 512-byte `koly` trailer (UDIF).

The trailer's big-endian fields: magic `koly` at 0, property list offset and length at 0xD8, signature offset
and length at 0x128. A signature covers everything before itself; special slot 6 covers the trailer as it is
before anything points at the signature: length 0, offset at the end of the property list.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from signing.binary import Malformed, cut, unpack

TRAILER_SIZE = 512
RANGE = struct.Struct(">QQ")  # offset and length
_PLIST_AT, SIGNATURE_AT = 0xD8, 0x128


@dataclass(frozen=True, slots=True)
class Parts:
    """A signed image: the data signed, the signature, and the trailer as special slot 6 hashes it."""

    data: memoryview
    signature: memoryview
    trailer: bytes


def parts(image: memoryview) -> Parts:
    """Take a signed disk image apart; Malformed if it is unsigned or no image."""
    trailer = cut(image, len(image) - TRAILER_SIZE, TRAILER_SIZE, "the disk image's trailer")
    if bytes(trailer[:4]) != b"koly":
        raise Malformed("is not a disk image: it has no koly trailer")
    offset, size = unpack(RANGE, trailer, SIGNATURE_AT, "the signature's place")
    if not size:
        raise Malformed("is not signed")
    if offset + size != len(image) - TRAILER_SIZE:
        raise Malformed("has its signature somewhere else than right before its trailer")
    return Parts(image[:offset], cut(image, offset, size, "the signature"), signed_trailer(trailer))


def signed_trailer(trailer: memoryview | bytes) -> bytes:
    """The trailer as it was hashed when the image was signed."""
    view = memoryview(trailer)
    start, length = unpack(RANGE, view, _PLIST_AT, "the property list's place")
    fresh = bytearray(view)
    try:
        RANGE.pack_into(fresh, SIGNATURE_AT, start + length, 0)
    except struct.error as error:
        raise Malformed("the disk image's trailer has an impossible property list range") from error
    return bytes(fresh)
