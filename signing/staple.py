"""Stapling without a Mac: putting a notarization ticket where Gatekeeper looks for it offline.

In a disk image the ticket is one more blob of the embedded signature (slot 0x10002): the code directory and
with it the cdhash stay the same, the file's bytes do not, so whatever signs the file's bytes comes after.
In an app it is the file Contents/CodeResources, which no seal covers.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from errors import Exit, Fault
from signing import superblob
from signing.binary import Malformed
from signing.image_signature import RANGE, SIGNATURE_AT, TRAILER_SIZE
from signing.superblob import SLOT_TICKET, WRAPPER, SuperBlob
from signing.ticket import fetch_ticket, record_name

__all__ = ["fetch_ticket", "read_ticket", "record_name", "staple_app", "staple_image"]

LARGEST = 64 << 20  # no signature of a disk image comes near
SEAL = Path("Contents", "CodeResources")


class StapleFault(Fault):
    """What should be stapled cannot be."""

    status = Exit.SIGNATURE


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a signed disk image: the signature's offset, the signature, the 512-byte trailer."""

    offset: int
    signature: SuperBlob
    trailer: bytes


def staple_image(path: Path, dst: Path, ticket: bytes) -> None:
    """Write to `dst` the signed disk image `path` with `ticket` in it, instead of one that is there already.

    `dst` appears whole or not at all and may be `path`. StapleFault if the image carries no signature at its
    end; DISK if it cannot be written.
    """
    with path.open("rb") as file:
        end = _end(file, path)
    blobs = {slot: bytes(blob) for slot, blob in end.signature.blobs.items()}
    blobs[SLOT_TICKET] = struct.pack(">II", WRAPPER, 8 + len(ticket)) + ticket
    signature = pack(blobs)
    trailer = bytearray(end.trailer)
    RANGE.pack_into(trailer, SIGNATURE_AT, end.offset, len(signature))
    with _replacing(dst) as temporary:
        shutil.copyfile(path, temporary)
        with temporary.open("r+b") as file:
            file.truncate(end.offset)
            file.seek(end.offset)
            file.write(signature + trailer)
        shutil.copymode(path, temporary)


def staple_app(app: Path, ticket: bytes) -> None:
    """Write `ticket` into the app bundle, instead of one that is there already. It has to be signed."""
    if not (app / "Contents/_CodeSignature/CodeResources").is_file():
        raise StapleFault("the app is not signed", where=app, cure="sign it before stapling")
    with _replacing(app / SEAL) as temporary:
        temporary.write_bytes(ticket)
        temporary.chmod(0o644)


def read_ticket(path: Path) -> bytes | None:
    """Return the ticket stapled to a disk image or an app; None if there is none."""
    if path.is_dir():
        seal = path / SEAL
        return seal.read_bytes() if seal.is_file() else None
    with path.open("rb") as file:
        return _end(file, path).signature.payload(SLOT_TICKET)


def pack(blobs: Mapping[int, bytes]) -> bytes:
    """Return an embedded signature of `blobs` by slot, each with its header (<kern/cs_blobs.h>)."""
    ordered = sorted(blobs.items())
    position = 12 + 8 * len(ordered)
    table = b""
    for slot, blob in ordered:
        table += struct.pack(">II", slot, position)
        position += len(blob)
    head = struct.pack(">III", superblob.EMBEDDED, position, len(ordered))
    return head + table + b"".join(blob for _, blob in ordered)


def _end(file: BinaryIO, path: Path) -> _End:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TRAILER_SIZE))
    trailer = file.read(TRAILER_SIZE)
    if len(trailer) != TRAILER_SIZE or trailer[:4] != b"koly":
        raise StapleFault("this is no disk image: its trailer is missing", where=path)
    offset, length = RANGE.unpack_from(trailer, SIGNATURE_AT)
    if not length:
        raise StapleFault("the disk image is not signed", where=path, cure="sign it before stapling")
    if offset + length != size - TRAILER_SIZE or length > LARGEST:
        raise StapleFault("the disk image's signature is not at its end", where=path, cure="sign it again")
    file.seek(offset)
    try:
        return _End(offset, superblob.parse(memoryview(file.read(length))), trailer)
    except Malformed as error:
        raise StapleFault(error.what, where=path, cure="sign it again") from error


@contextmanager
def _replacing(dst: Path) -> Iterator[Path]:
    """Give a new file beside `dst` that takes its place if all goes well and vanishes if not."""
    try:
        handle, name = tempfile.mkstemp(dir=dst.parent, prefix=f".{dst.name}.")
        os.close(handle)
        try:
            yield Path(name)
            Path(name).replace(dst)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise Fault(
            f"cannot write: {error.strerror or error}", where=dst, cure="make room", status=Exit.DISK
        ) from error
