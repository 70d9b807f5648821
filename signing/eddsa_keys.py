"""Sparkle's private keys: made, kept, moved.

A private key is base64 on a line of its own: the 32-byte seed, or 96 bytes from before Sparkle 2.6 (see
eddsa_expanded). It is named by URI: `env:NAME`, `file:PATH` (readable by its owner alone), or
`keychain:ACCOUNT`, a generic password under the service that Sparkle's own tools use, so that both find the
same key; `keychain:SERVICE/ACCOUNT` is one under another service.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from commands import Runner, Subprocess
from errors import Exit, Fault
from signing import secrets, security
from signing.eddsa_expanded import EXPANDED_BYTES, ExpandedKey

KEY_BYTES = 32
SPARKLE_SERVICE = "https://sparkle-project.org"

_ABSENT = 44  # how `security` ends when the keychain has no such item
_NAME = re.compile(r"[A-Za-z0-9._@:/+-]+")


class KeyFault(Fault):
    """A key that is malformed or in the way. Never carries key material."""

    status = Exit.SECRET


class PrivateKey(Protocol):
    """Whatever signs: `cryptography`'s key made from a seed, or an ExpandedKey."""

    def sign(self, data: bytes | memoryview, /) -> bytes:
        """Sign `data`: 64 bytes."""
        ...

    def public_key(self) -> Ed25519PublicKey:
        """Return the public half."""
        ...


def generate(path: Path) -> None:
    """Write a new private key to `path`, mode 0600. Raises KeyFault if it exists or can't be written."""
    _write(path, _new())


def create(uri: str, *, runner: Runner | None = None) -> str:
    """Make a new key and keep it at `uri`, a file or the keychain; return its public half, base64.

    Never overwrites: a lost key cuts every installed app off from its updates. Raises KeyFault.
    """
    return _keep(_new(), uri, runner)


def load(uri: str, *, environ: Mapping[str, str], runner: Runner | None = None) -> PrivateKey:
    """Read a private key by URI. Raises SecretFault if absent or open to others, KeyFault if malformed."""
    return private_key(secrets.read(full(uri), environ=environ, runner=runner), where=uri)


def export(uri: str, path: Path, *, environ: Mapping[str, str], runner: Runner | None = None) -> str:
    """Copy the key at `uri` to a new file, mode 0600; return its public half. Raises KeyFault."""
    text = secrets.read(full(uri), environ=environ, runner=runner).strip()
    public = public_key(private_key(text, where=uri))
    _write(path, text)
    return public


def import_key(source: str, uri: str, *, environ: Mapping[str, str], runner: Runner | None = None) -> str:
    """Keep the key at `source` (a URI, in either form) at `uri` too; return its public half.

    What is kept is what was read: an expanded key stays one, for its seed can't be found. Raises KeyFault if
    it is malformed, or if there is a key at `uri` already.
    """
    text = secrets.read(full(source), environ=environ, runner=runner).strip()
    private_key(text, where=source)
    return _keep(text, uri, runner)


def private_key(text: str, *, where: object | None = None) -> PrivateKey:
    """Decode a private key's base64 text, in either form. Raises KeyFault, which never repeats the text."""
    raw = decode(text, "the private EdDSA key", where)
    if len(raw) == EXPANDED_BYTES:
        try:
            return ExpandedKey(raw)
        except ValueError as error:
            raise KeyFault(
                f"this key in Sparkle's old 96-byte form is damaged: {error}", where=where
            ) from None
    if len(raw) != KEY_BYTES:
        raise KeyFault(
            f"a private EdDSA key has {KEY_BYTES} bytes ({EXPANDED_BYTES} before Sparkle 2.6),"
            f" this one {len(raw)}",
            where=where,
        )
    return Ed25519PrivateKey.from_private_bytes(raw)


def public_key(key: PrivateKey) -> str:
    """Return the public half as it stands in SUPublicEDKey: 32 bytes, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def decode(text: str, name: str, where: object | None = None) -> bytes:
    """Decode base64, or raise a KeyFault that says which key (`name`) is wrong and shows nothing of it."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFault(f"{name} is not base64", where=where) from None  # the cause would show the text


def _new() -> str:
    return secrets.remember(base64.b64encode(os.urandom(KEY_BYTES)).decode())


def full(uri: str) -> str:
    """Complete `keychain:ACCOUNT` with Sparkle's service."""
    scheme, _, name = uri.partition(":")
    if scheme == "keychain" and name and "/" not in name:
        return f"keychain:{SPARKLE_SERVICE}/{name}"
    return uri


def _keep(text: str, uri: str, runner: Runner | None) -> str:
    scheme, _, name = full(uri).partition(":")
    public = public_key(private_key(text, where=uri))
    if scheme == "file" and name:
        _write(Path(name).expanduser(), text)
    elif scheme == "keychain" and "/" in name:
        service, _, account = name.rpartition("/")
        _add_to_keychain(service, account, text, public, runner or Subprocess())
    else:
        raise KeyFault("a key can't be kept there", where=uri, cure="use file:PATH or keychain:ACCOUNT")
    return public


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFault("there is a key already", where=path, cure="use it, or move it away first") from error
    except OSError as error:
        raise KeyFault(f"the key cannot be written: {error.strerror}", where=path) from error
    with os.fdopen(descriptor, "w") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())


def _add_to_keychain(service: str, account: str, text: str, public: str, runner: Runner) -> None:
    """Add a generic password, named as Sparkle's generate_keys names it.

    It is told through standard input, and the key read back: a status is a promise, that is a proof.
    """
    where = f"keychain:{service}/{account}"
    if not _NAME.fullmatch(service) or not _NAME.fullmatch(account):
        raise KeyFault("not a name for a keychain item", where=where, cure="use letters, digits and . _ - @")
    find = ["security", "find-generic-password", "-s", service, "-a", account]
    found = runner.run(find, check=False).status
    if found == 0:
        raise KeyFault("there is a key already", where=where, cure="use it, or choose another account")
    if found != _ABSENT:
        raise KeyFault("the keychain can't be asked", where=where, cure="unlock it and try again")
    words = ["add-generic-password", "-s", service, "-a", account, "-D", "private key"]
    words += ["-l", "Private key for signing Sparkle updates"]
    words += ["-j", f"Public key (SUPublicEDKey value) for this key is: {public}", "-w", text]
    security.tell(runner, *words)
    kept = runner.run([*find, "-w"], check=False)
    if kept.status or kept.stdout.decode("utf-8", "replace").strip() != text:
        raise KeyFault("the keychain did not take the key", where=where, cure="unlock it and try again")
