"""What is secret: Cursor keys, encrypted; tokens, of which only a hash is kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Final

from worker.ports import Ports
from worker.replies import Refusal, problem, unset

TOKEN: Final = "cmp_"  # noqa: S105 - how tokens begin
PREFIX: Final = 14  # characters of a token that are kept to tell it by
SHORTEST: Final = 16  # characters of an encryption key that is a text
IV: Final = 12  # bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A Cursor key as it is kept, both parts base64; `hint` is its last four characters."""

    text: str
    iv: str
    hint: str


def encryption_key(setting: str | None) -> bytes:
    """Give the 32 bytes that ENCRYPTION_KEY stands for: 64 hex digits, base64 of 32 bytes, or any text.

    A text of at least 16 characters is hashed with SHA-256. Raises Refusal 503.
    """
    given = (setting or "").strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", given):
        return bytes.fromhex(given)
    try:
        raw = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == 32:
        return raw
    if len(given) < SHORTEST:
        raise unset("ENCRYPTION_KEY")
    return hashlib.sha256(given.encode()).digest()


async def seal(ports: Ports, cursor_key: str) -> Sealed:
    """Encrypt a Cursor key: AES-256-GCM with a new IV."""
    key, iv = encryption_key(ports.settings.get("ENCRYPTION_KEY")), secrets.token_bytes(IV)
    text = await ports.cipher.encrypt(key, iv, cursor_key.encode())
    return Sealed(base64.b64encode(text).decode(), base64.b64encode(iv).decode(), cursor_key[-4:])


async def unseal(ports: Ports, text: str, iv: str) -> str:
    """Decrypt a Cursor key. Raises Refusal 503 if it was encrypted with another ENCRYPTION_KEY."""
    key = encryption_key(ports.settings.get("ENCRYPTION_KEY"))
    try:
        return (await ports.cipher.decrypt(key, base64.b64decode(iv), base64.b64decode(text))).decode()
    except ValueError:
        message = "The key of this account cannot be read any more; sign up again"
        raise Refusal(problem(503, message, "account_unreadable")) from None


def new_token() -> str:
    """Make a token: `cmp_` and 32 random bytes in base64url."""
    return TOKEN + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def token_hash(token: str) -> str:
    """Give what is kept of a token: its SHA-256, hex. It is random enough to need no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def account_id(user_id: object, email: str | None, cursor_key: str) -> str:
    """Give the account that a Cursor user has here, always the same: by user id, else address, else key."""
    if user_id is not None and user_id != "":
        basis = f"cursor-user:{user_id}"
    elif email:
        basis = f"cursor-email:{email.lower()}"
    else:
        basis = f"cursor-key:{hashlib.sha256(cursor_key.encode()).hexdigest()}"
    return "acct_" + hashlib.sha256(basis.encode()).hexdigest()[:24]
