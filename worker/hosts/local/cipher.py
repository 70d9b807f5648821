"""AES-256-GCM by `cryptography`."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class AesGcm:
    """See Cipher."""

    async def encrypt(self, key: bytes, iv: bytes, text: bytes) -> bytes:
        """See Cipher."""
        return AESGCM(key).encrypt(iv, text, None)

    async def decrypt(self, key: bytes, iv: bytes, sealed: bytes) -> bytes:
        """See Cipher."""
        try:
            return AESGCM(key).decrypt(iv, sealed, None)
        except InvalidTag:
            raise ValueError("the seal does not hold") from None
