"""Signing with Sparkle's old private keys: expanded Ed25519, from which no seed can be recovered.

Before Sparkle 2.6 a private key was 96 bytes: the clamped first half of SHA-512(seed), which is the secret
scalar, its second half, which is the prefix that nonces are drawn from, and the public key. That is all that
RFC 8032 (section 5.1.6) needs for signing; only libraries that start from the seed cannot use it. The
arithmetic on the curve is libsodium's, in constant time.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl import bindings as sodium

EXPANDED_BYTES = 96
_HALF = 32


class ExpandedKey:
    """An expanded key. Signs exactly as the key made from the lost seed would."""

    __slots__ = ("_prefix", "_public", "_scalar")

    def __init__(self, raw: bytes) -> None:
        """Take the 96 bytes apart. Raises ValueError if the three parts don't belong together."""
        if len(raw) != EXPANDED_BYTES:
            raise ValueError(f"an expanded key has {EXPANDED_BYTES} bytes, this one {len(raw)}")
        scalar, prefix, public = raw[:_HALF], raw[_HALF : 2 * _HALF], raw[2 * _HALF :]
        if scalar != _clamped(scalar):
            raise ValueError("its first half is no Ed25519 scalar")
        if not hmac.compare_digest(sodium.crypto_scalarmult_ed25519_base_noclamp(scalar), public):
            raise ValueError("its public half does not belong to its private half")
        self._scalar, self._prefix, self._public = _reduced(scalar), prefix, public

    def sign(self, data: bytes | memoryview) -> bytes:
        """Sign `data`; the signature is 64 bytes. `data` is hashed in place, not copied."""
        nonce = sodium.crypto_core_ed25519_scalar_reduce(_sha512(self._prefix, data))
        commitment = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = sodium.crypto_core_ed25519_scalar_reduce(_sha512(commitment, self._public, data))
        answer = sodium.crypto_core_ed25519_scalar_mul(challenge, self._scalar)
        return commitment + sodium.crypto_core_ed25519_scalar_add(nonce, answer)

    def public_key(self) -> Ed25519PublicKey:
        """Return the public half."""
        return Ed25519PublicKey.from_public_bytes(self._public)


def expand(seed: bytes) -> bytes:
    """Return the 96 bytes that Sparkle before 2.6 would have kept for this 32-byte seed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    digest = hashlib.sha512(seed).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return _clamped(digest[:_HALF]) + digest[_HALF:] + public


def _clamped(scalar: bytes) -> bytes:
    return bytes((scalar[0] & 0xF8, *scalar[1:31], scalar[31] & 0x3F | 0x40))


def _reduced(scalar: bytes) -> bytes:
    """Bring a scalar below the group's order, which libsodium expects of what it multiplies."""
    return sodium.crypto_core_ed25519_scalar_reduce(scalar + bytes(_HALF))


def _sha512(*parts: bytes | memoryview) -> bytes:
    hasher = hashlib.sha512()
    for part in parts:
        hasher.update(part)
    return hasher.digest()
