"""Sparkle's signatures: Ed25519 keys, signed archives, signed feeds.

Formats, as Sparkle 2.6 to 2.10 reads them:

- A private key is the 32-byte seed, base64, 44 characters, on a line of its own. (Before 2.6 it was 96 bytes,
  an expanded key without its seed; `cryptography` cannot use that and neither do we.)
- A public key is 32 bytes, base64: `SUPublicEDKey`.
- A signature is plain Ed25519 over all bytes: 64 bytes, base64, 88 characters.
- A signed feed is `content + comment`; see `sign_feed`.
"""

from __future__ import annotations

import base64
import binascii
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from commands import Runner
from errors import Exit, Fault
from signing import secrets

KEY_BYTES = 32
SIGNATURE_BYTES = 64
OLD_KEY_BYTES = 96

_BLOCK = b"<!-- sparkle-signatures:\n"
_WARNING = (
    b"<!-- sparkle-sign-warning:\n"
    b"This feed is signed. Whoever changes a byte of it must sign it again, or no app accepts it.\n"
    b"-->\n"
)
_ANY_WARNING = re.compile(rb"<!-- sparkle-sign-warning:\n.*?-->\n?", re.DOTALL)
_PROLOG = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:<\?xml[^>]*\?>\s*?\n?)?")


class KeyFault(Fault):
    """A key that is malformed or in the way. Never carries key material."""

    status = Exit.SECRET


class FeedSignatureFault(Fault):
    """A feed that an app with SURequireSignedFeed would refuse."""

    status = Exit.SIGNATURE


def generate(path: Path) -> None:
    """Write a new private key to `path`: 32-byte seed, base64, one line, mode 0600.

    Never overwrites: a lost key cuts every installed app off from its updates. Raises KeyFault if the file
    exists or cannot be written.
    """
    seed = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFault("there is a key already", where=path, cure="use it, or move it away first") from error
    except OSError as error:
        raise KeyFault(f"the key cannot be written: {error.strerror}", where=path) from error
    with os.fdopen(descriptor, "wb") as out:
        out.write(seed)
        out.flush()
        os.fsync(out.fileno())


def load(uri: str, *, environ: Mapping[str, str], runner: Runner | None = None) -> Ed25519PrivateKey:
    """Read a private key by URI: `env:NAME`, `file:PATH` or `keychain:SERVICE/ACCOUNT`.

    Sparkle's own tools keep theirs at `keychain:https://sparkle-project.org/ed25519`. Raises SecretFault if
    it is absent or in a file that others can touch, KeyFault if it is malformed.
    """
    return private_key(secrets.read(uri, environ=environ, runner=runner), where=uri)


def private_key(text: str, *, where: object | None = None) -> Ed25519PrivateKey:
    """Decode a private key's base64 text. Raises KeyFault, which never repeats the text."""
    raw = _decode(text, "the private EdDSA key", where)
    if len(raw) == OLD_KEY_BYTES:
        raise KeyFault(
            "this is a key in Sparkle's old 96-byte form, which has no seed in it",
            where=where,
            cure="use the 32-byte form that generate_keys of Sparkle 2.6 or later exports",
        )
    if len(raw) != KEY_BYTES:
        raise KeyFault(f"a private EdDSA key has {KEY_BYTES} bytes, this one {len(raw)}", where=where)
    return Ed25519PrivateKey.from_private_bytes(raw)


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the public half as it stands in SUPublicEDKey: 32 bytes, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign_bytes(data: bytes, key: Ed25519PrivateKey) -> str:
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


def sign_file(path: Path, key: Ed25519PrivateKey) -> str:
    """Sign a whole file, read through a memory map: constant memory at any size."""
    with _mapped(path) as data:
        return base64.b64encode(key.sign(data)).decode()


def verify_file(path: Path, signature: str, public: str) -> bool:
    """Tell whether `signature` fits the file's bytes; see verify_bytes."""
    with _mapped(path) as data:
        return verify_bytes(data, signature, public)


def sign_feed(data: bytes, key: Ed25519PrivateKey, *, warning: bool = True) -> bytes:
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


def verify_feed(data: bytes, public: str) -> bytes:
    """Return the content of a signed feed, or raise FeedSignatureFault.

    Stricter than Sparkle, which ignores a wrong length and whatever follows the comment: here every byte
    counts, so any one changed byte is noticed.
    """
    start = data.rfind(_BLOCK)
    end = data.find(b"-->", start)
    if start < 0 or end < 0:
        raise FeedSignatureFault("the feed is not signed", cure="sign it: the app requires a signed feed")
    content = data[:start]
    signature = (
        _named_lines(data[start + len(_BLOCK) : end]).get(b"edSignature", b"").decode("ascii", "replace")
    )
    if not verify_bytes(content, signature, public):
        raise FeedSignatureFault(
            "the feed's signature does not fit its bytes and the app's key",
            cure="sign the feed again with the key whose public half is the app's SUPublicEDKey",
        )
    if data[start:] != _signature_block(signature, len(content)):
        raise FeedSignatureFault(
            "the feed's signature fits, but its comment was changed",
            details=(f"its content has {len(content)} bytes",),
            cure="sign the feed again",
        )
    return content


def is_signed_feed(data: bytes) -> bool:
    """Tell whether a feed carries a signature comment at all, right or wrong."""
    return data.rfind(_BLOCK) >= 0


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


def _named_lines(block: bytes) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _public(text: str) -> Ed25519PublicKey:
    raw = _decode(text, "the public EdDSA key", None)
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


def _decode(text: str, name: str, where: object | None) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFault(f"{name} is not base64", where=where) from None  # the cause would show the text


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
