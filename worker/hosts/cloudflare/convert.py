"""Values between Python and JavaScript."""

from __future__ import annotations

from typing import Any

from js import Object, Uint8Array
from pyodide.ffi import jsnull, to_js


def js(value: Any) -> Any:
    """Give a JavaScript value; dicts become objects, None null (left to Pyodide, it would be undefined)."""
    return jsnull if value is None else to_js(value, dict_converter=Object.fromEntries)


def row(value: Any) -> dict[str, Any]:
    """Take a flat JavaScript object as a dict; null becomes None."""
    return {name: None if one is jsnull else one for name, one in value.to_py().items()}


def data(value: bytes) -> Any:
    """Give bytes as a Uint8Array of its own."""
    made = Uint8Array.new(len(value))
    made.assign(value)
    return made


def taken(value: Any) -> bytes:
    """Take bytes out of an ArrayBuffer or a typed array."""
    view = value if hasattr(value, "byteOffset") else Uint8Array.new(value)
    return bytes(view.to_bytes())
