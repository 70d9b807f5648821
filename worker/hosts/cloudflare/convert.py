"""Values between Python and JavaScript."""

from __future__ import annotations

from typing import Any

from js import Object, Uint8Array
from pyodide.ffi import to_js


def js(value: Any) -> Any:
    """Give a JavaScript value; dicts become objects, None null."""
    return to_js(value, dict_converter=Object.fromEntries)


def data(value: bytes) -> Any:
    """Give bytes as a Uint8Array of its own."""
    made = Uint8Array.new(len(value))
    made.assign(value)
    return made


def taken(value: Any) -> bytes:
    """Take bytes out of an ArrayBuffer or a typed array."""
    view = value if hasattr(value, "byteOffset") else Uint8Array.new(value)
    return bytes(view.to_bytes())
