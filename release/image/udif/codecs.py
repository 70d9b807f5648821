"""The ways a chunk is packed. All of these libraries let go of Python's lock: threads are enough."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import deflate
import lzfse

from release.image.faults import ImageFault

MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to pack: its number in a run, how to pack, and the memory a thread of it takes, in MiB.

    That counts the library's own and the chunks waiting around the thread, packed and not: about four.
    """

    number: int
    pack: Callable[[bytes], bytes]
    memory: int


ZLIB, BZIP2, LZFSE, LZMA = 0x80000005, 0x80000006, 0x80000007, 0x80000008

# Chosen by measurement on Bun: libdeflate's 6 is a little smaller than zlib's 6 at three times its speed.
DEFLATE_LEVEL = 6
# A chunk has 1 MiB, so a larger dictionary only costs memory.
XZ = ({"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": MEBI},)


def _zlib(data: bytes) -> bytes:
    return bytes(deflate.zlib_compress(data, DEFLATE_LEVEL))


def _lzfse(data: bytes) -> bytes:
    return bytes(lzfse.compress(data))


def _lzma(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=list(XZ))


FORMATS: Mapping[str, Codec] = MappingProxyType(
    {
        "UDZO": Codec(ZLIB, _zlib, 6),
        "UDBZ": Codec(BZIP2, bz2.compress, 12),
        "ULFO": Codec(LZFSE, _lzfse, 6),
        "ULMO": Codec(LZMA, _lzma, 20),
    }
)


def unpack(number: int, data: bytes, size: int) -> bytes:
    """Unpack a chunk that must come to exactly `size` bytes; never makes many more than that."""
    try:
        plain = _UNPACKERS[number](data, size)
    except KeyError:
        raise ImageFault(f"the disk image is packed in an unknown way ({number:#x})") from None
    except DAMAGE as error:
        raise ImageFault("a chunk of the disk image cannot be unpacked", details=(str(error),)) from error
    if len(plain) != size:
        raise ImageFault("a chunk of the disk image does not come to the length it should have")
    return plain


def _unzlib(data: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(data, size + 1)


def _unbzip2(data: bytes, size: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, size + 1)


def _unlzma(data: bytes, size: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=256 * MEBI).decompress(data, size + 1)


def _unlzfse(data: bytes, size: int) -> bytes:
    if len(data) < _LZFSE_SHORTEST or _lzfse_length(data, size) > size:
        raise ValueError("not the length announced")
    return bytes(lzfse.decompress(data))


def _lzfse_length(data: bytes, enough: int) -> int:
    """Sum what the stream's blocks say they hold, up to `enough`: the library itself knows no limit.

    Blocks as in Apple's lzfse_internal.h (little-endian): a magic word, the unpacked length, then by kind the
    packed length (bvxn), the lengths of header, literals and matches in bit fields (bvx2), or nothing (bvx-).
    """
    at = total = 0
    while total <= enough and (magic := data[at : at + 4]) != b"bvx$":
        (length,) = _LZFSE_LENGTH.unpack_from(data, at + 4)
        total += length
        if magic == b"bvx-":
            at += 8 + length
        elif magic == b"bvxn":
            at += 12 + _LZFSE_LENGTH.unpack_from(data, at + 8)[0]
        elif magic == b"bvx2":
            literals, matches, header = _LZFSE_FIELDS.unpack_from(data, at + 8)
            at += (header & 0xFFFFFFFF) + (literals >> 20 & 0xFFFFF) + (matches >> 40 & 0xFFFFF)
        else:
            raise ValueError("unknown block")
    return total


_LZFSE_SHORTEST = 12  # the library looks that far without asking
_LZFSE_LENGTH = struct.Struct("<I")
_LZFSE_FIELDS = struct.Struct("<3Q")

# A damaged stream can make lzfse ask for more memory than there is; it gets none, and says so at once.
DAMAGE = (zlib.error, lzma.LZMAError, lzfse.error, struct.error, OSError, ValueError, EOFError, MemoryError)

_UNPACKERS: Mapping[int, Callable[[bytes, int], bytes]] = MappingProxyType(
    {ZLIB: _unzlib, BZIP2: _unbzip2, LZFSE: _unlzfse, LZMA: _unlzma}
)
