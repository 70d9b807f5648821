"""AES-256-GCM by WebCrypto."""

from __future__ import annotations

from typing import Any

from js import crypto
from pyodide.ffi import JsException

from worker.hosts.cloudflare.convert import data, js, taken


class WebCrypto:
    """See Cipher."""

    async def encrypt(self, key: bytes, iv: bytes, text: bytes) -> bytes:
        """See Cipher."""
        imported = await _imported(key, "encrypt")
        return taken(await crypto.subtle.encrypt(_with(iv), imported, data(text)))

    async def decrypt(self, key: bytes, iv: bytes, sealed: bytes) -> bytes:
        """See Cipher."""
        imported = await _imported(key, "decrypt")
        try:
            return taken(await crypto.subtle.decrypt(_with(iv), imported, data(sealed)))
        except JsException:
            raise ValueError("the seal does not hold") from None


async def _imported(key: bytes, use: str) -> Any:
    return await crypto.subtle.importKey("raw", data(key), js({"name": "AES-GCM"}), False, js([use]))


def _with(iv: bytes) -> Any:
    return js({"name": "AES-GCM", "iv": data(iv)})
