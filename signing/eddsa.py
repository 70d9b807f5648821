"""Sparkle's signatures: archives, feeds, release notes.

Formats, as Sparkle 2.9 and 2.10 read them:

- A signature is plain Ed25519 over all bytes: 64 bytes, base64, 88 characters.
- A signed feed is `content + comment`; see `sign_feed`. It carries its own signature.
- Signed release notes are a file whose signature and length stand in the feed; see `sign_notes`.

Keys are the business of eddsa_keys.
"""

from __future__ import annotations

import base64
import binascii
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from errors import Exit, Fault
from signing.eddsa_keys import (
    KEY_BYTES,
    KeyFault,
    PrivateKey,
    decode,
    generate,
    load,
    private_key,
    public_key,
)

__all__ = [
    "FeedSignatureFault",
    "KeyFault",
    "PrivateKey",
    "SignedFeed",
    "SignedNotes",
    "generate",
    "is_signed_feed",
    "load",
    "notes_content",
    "private_key",
    "public_key",
    "read_feed",
    "sign_bytes",
    "sign_feed",
    "sign_file",
    "sign_notes",
    "verify_bytes",
    "verify_feed",
    "verify_file",
    "verify_notes",
]

SIGNATURE_BYTES = 64

_BLOCK = b"<!-- sparkle-signatures:\n"
_WARNING = (
    b"<!-- sparkle-sign-warning:\n"
    b"This feed is signed. Whoever changes a byte of it must sign it again, or no app accepts it.\n"
    b"-->\n"
)
_ANY_WARNING = re.compile(rb"<!-- sparkle-sign-warning:\n.*?-->\n?", re.DOTALL)
_PROLOG = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>\s*?\n?)?")
_NOTES_HEAD = b"<!-- sparkle-sign-warning:"
_NOTES_WARNING = (
    _NOTES_HEAD
    + b"\nThis file is signed. Whoever changes a byte of it must sign it again, and write signature\n"
    b"and length into the feed that points here.\n-->\n"
)
_LINES = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class FeedSignatureFault(Fault):
    """A feed that an app with SURequireSignedFeed would refuse."""

    status = Exit.SIGNATURE


@dataclass(frozen=True, slots=True)
class SignedFeed:
    """A feed taken apart as Sparkle does. `signature` (base64) and `length` are None where not stated."""

    content: bytes
    signature: str | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class SignedNotes:
    """Release notes to publish, and what `sparkle:edSignature` and `sparkle:length` (bytes) say of them."""

    data: bytes
    signature: str
    length: int


def sign_bytes(data: bytes, key: PrivateKey) -> str:
    """Sign `data`; the signature is 64 bytes, base64."""
    return base64.b64encode(key.sign(data)).decode()


def verify_bytes(data: bytes | memoryview, signature: str, public: str) -> bool:
    """Tell whether `signature` (base64) over `data` was made by the owner of `public` (base64).

    A malformed signature is just wrong; a malformed public key raises KeyFault.
    """
    verifier = _public(public)
    raw = _signature(signature)
    if raw is None:
        return False
    try:
        verifier.verify(raw, data)
    except InvalidSignature:
        return False
    return True


def sign_file(path: Path, key: PrivateKey) -> str:
    """Sign a whole file, read through a memory map: constant memory at any size."""
    with _mapped(path) as data:
        return base64.b64encode(key.sign(data)).decode()


def verify_file(path: Path, signature: str, public: str) -> bool:
    """Tell whether `signature` fits the file's bytes; see verify_bytes."""
    with _mapped(path) as data:
        return verify_bytes(data, signature, public)


def sign_feed(data: bytes, key: PrivateKey, *, warning: bool = True) -> bytes:
    r"""Sign a feed as Sparkle 2.9's sign_update and generate_appcast do.

    The result is `content`, followed without a byte between by
    `<!-- sparkle-signatures:\nedSignature: BASE64\nlength: BYTES\n-->\n`, the signature being over all bytes
    of `content`. An earlier signature is replaced; with `warning`, a comment for people who edit the file
    goes before the root element, inside what is signed. Raises FeedSignatureFault if `data` is not UTF-8.
    """
    content = _unsigned(data)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FeedSignatureFault("a signed feed must be UTF-8", cure="write the feed in UTF-8") from error
    if warning:
        content = _warned(content)
    return content + _signature_block(sign_bytes(content, key), len(content))


def read_feed(data: bytes) -> SignedFeed:
    """Take a feed apart exactly as Sparkle 2.9 does, verifying nothing.

    The last `<!-- sparkle-signatures:` line begins the comment and the next `-->` ends it; whatever is before
    is the content. Of its lines, those that begin with `edSignature:` and `length:` count, the last of each,
    white space trimmed. Without both marks, or if the comment is not UTF-8, all of `data` is unsigned.
    """
    start = data.rfind(_BLOCK)
    end = data.find(b"-->", start + len(_BLOCK))
    if start < 0 or end < 0:
        return SignedFeed(data)
    try:
        lines = _LINES.split(data[start + len(_BLOCK) : end].decode("utf-8"))
    except UnicodeDecodeError:
        return SignedFeed(data)
    named = {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    length = re.match(r"[+-]?\d+", named.get("length", ""))
    return SignedFeed(data[:start], named.get("edSignature"), int(length[0]) if length else None)


def verify_feed(data: bytes, public: str) -> bytes:
    """Return the content of a signed feed, or raise FeedSignatureFault.

    Stricter than Sparkle, which ignores a wrong length and whatever follows the comment: here every byte
    counts, so any one changed byte is noticed.
    """
    feed = read_feed(data)
    if feed.signature is None:
        raise FeedSignatureFault("the feed is not signed", cure="sign it: the app requires a signed feed")
    if not verify_bytes(feed.content, feed.signature, public):
        raise FeedSignatureFault(
            "the feed's signature does not fit its bytes and the app's key",
            cure="sign the feed again with the key whose public half is the app's SUPublicEDKey",
        )
    if data[len(feed.content) :] != _signature_block(feed.signature, len(feed.content)):
        raise FeedSignatureFault(
            "the feed's signature fits, but its comment was changed",
            details=(f"its content has {len(feed.content)} bytes",),
            cure="sign the feed again",
        )
    return feed.content


def sign_notes(data: bytes, key: PrivateKey, *, warning: bool = True) -> SignedNotes:
    """Sign release notes (HTML, Markdown or plain text) as sign_update does.

    With `warning`, a comment for people who edit the file goes to its very head, in place of one that is
    there; Sparkle strips it before showing the notes, whatever their format, but it is signed with the rest.
    """
    signed = _NOTES_WARNING + notes_content(data) if warning else data
    return SignedNotes(signed, sign_bytes(signed, key), len(signed))


def verify_notes(data: bytes, signature: str, length: int | None, public: str) -> bytes:
    """Return what Sparkle would show of signed notes, or raise FeedSignatureFault. `length` in bytes."""
    if length is not None and length != len(data):
        raise FeedSignatureFault(f"the feed says that the notes have {length} bytes, they have {len(data)}")
    if not verify_bytes(data, signature, public):
        raise FeedSignatureFault(
            "the notes' signature does not fit their bytes and the app's key",
            cure="sign the notes again and write the signature into the feed",
        )
    return notes_content(data)


def notes_content(data: bytes) -> bytes:
    """Return notes without the warning at their head and the one newline after it, as Sparkle does."""
    end = data.find(b"-->", len(_NOTES_HEAD)) if data.startswith(_NOTES_HEAD) else -1
    if end < 0:
        return data
    return data[end + 3 :].removeprefix(b"\n")


def is_signed_feed(data: bytes) -> bool:
    """Tell whether a feed carries a signature at all, right or wrong."""
    return read_feed(data).signature is not None


def _signature_block(signature: str, length: int) -> bytes:
    return _BLOCK + f"edSignature: {signature}\nlength: {length}\n-->\n".encode()


def _unsigned(data: bytes) -> bytes:
    start = data.rfind(_BLOCK)
    return data if start < 0 or data.find(b"-->", start) < 0 else data[:start]


def _warned(content: bytes) -> bytes:
    """Put the warning between XML declaration and root, once."""
    prolog = _PROLOG.match(content)
    at = prolog.end() if prolog else 0
    present = _ANY_WARNING.match(content, at)
    rest = content[present.end() :] if present else content[at:]
    return content[:at] + _WARNING + rest


def _public(text: str) -> Ed25519PublicKey:
    raw = decode(text, "the public EdDSA key")
    if len(raw) != KEY_BYTES:
        raise KeyFault(f"a public EdDSA key has {KEY_BYTES} bytes, this one {len(raw)}")
    return Ed25519PublicKey.from_public_bytes(raw)


def _signature(text: str) -> bytes | None:
    """Decode a signature. Only base64's canonical spelling counts: a changed bit could hide in another."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == SIGNATURE_BYTES and base64.b64encode(raw).decode() == text else None


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview | bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Fault(f"the file cannot be read: {error.strerror}", where=path) from error
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            yield b""  # an empty file cannot be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            yield view
