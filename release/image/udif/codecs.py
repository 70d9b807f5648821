"""The ways a chunk is packed. All of these libraries let go of Python's lock: threads are enough."""

from __future__ import annotations

import bz2
import lzma
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
    """A way to pack: its number in a run, how to pack, and what one thread of it takes in memory, in MiB."""

    number: int
    pack: Callable[[bytes], bytes]
    memory: int


ZLIB, BZIP2, LZFSE, LZMA = 0x80000005, 0x80000006, 0x80000007, 0x80000008

# Chosen by measurement: libdeflate's 7 is as small as zlib's 6 at three times its speed.
DEFLATE_LEVEL = 7
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
        "UDZO": Codec(ZLIB, _zlib, 4),
        "UDBZ": Codec(BZIP2, bz2.compress, 11),
        "ULFO": Codec(LZFSE, _lzfse, 4),
        "ULMO": Codec(LZMA, _lzma, 16),
    }
)


def unpack(number: int, data: bytes, size: int) -> bytes:
    """Unpack a chunk that must come to exactly `size` bytes; never makes many more than that."""
    try:
        plain = _UNPACKERS[number](data, size)
    except KeyError:
        raise ImageFault(f"the disk image is packed in an unknown way ({number:#x})") from None
    except (zlib.error, lzma.LZMAError, lzfse.error, OSError, ValueError, EOFError) as error:
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
    return bytes(lzfse.decompress(data))


_UNPACKERS: Mapping[int, Callable[[bytes, int], bytes]] = MappingProxyType(
    {ZLIB: _unzlib, BZIP2: _unbzip2, LZFSE: _unlzfse, LZMA: _unlzma}
)
