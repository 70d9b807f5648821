"""Byte code that is the same wherever and whenever it is made."""

from __future__ import annotations

import importlib.util
import marshal
import sys
from pathlib import Path
from types import CodeType
from typing import Any

from release.bundle.spec import BundleFault

UNCHECKED_HASH = 1  # PEP 552: flag 0 says the header holds a hash, flag 1 that it is checked on import


def require_python(version: str) -> None:
    """Raise BundleFault unless this interpreter makes byte code for `version`, such as "3.11"."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != version:
        raise BundleFault(
            f"The bundle has Python {version}, and this is Python {here}: their byte code differs",
            cure=f"run ./invoke with Python {version}, or set python in release.toml to {here}",
        )


def compile_file(path: Path, name: str) -> bytes:
    """Compile the file at `path` to a .pyc whose tracebacks call it `name`; raises BundleFault."""
    source = path.read_bytes()
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError) as error:
        raise BundleFault("A file of the app is not Python", where=name, details=(str(error),)) from error
    return pyc(code, source)


def pyc(code: CodeType, source: bytes) -> bytes:
    """Give the contents of a .pyc: an unchecked hash (PEP 552) in place of a time, then the code."""
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + dump(code)


def dump(code: CodeType) -> bytes:
    """Marshal `code` so that the bytes depend on it alone, and not on what else is in memory.

    marshal writes an object once and refers to it afterwards, by identity; and it marks one as worth
    referring to if anything in the process refers to it. Which equal strings are one object, and which are
    interned, depends on the modules loaded before. So all strings are interned, and every part is held while
    it is written.
    """
    definite = _definite(code, {})
    held: list[object] = []
    _hold(definite, held)
    return marshal.dumps(definite)


def _definite(value: Any, known: dict[int, Any]) -> Any:
    """Give `value` with all strings in it interned. `known` keeps one object one, by its identity."""
    if isinstance(value, str):
        return sys.intern(value)
    if not isinstance(value, (CodeType, tuple, frozenset)):
        return value
    if id(value) not in known:
        known[id(value)] = _rebuilt(value, known)
    return known[id(value)]


def _rebuilt(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, CodeType):
        constants = tuple(_definite(constant, known) for constant in value.co_consts)
        return value.replace(
            co_consts=constants,
            co_filename=sys.intern(value.co_filename),
            co_name=sys.intern(value.co_name),
            co_qualname=sys.intern(value.co_qualname),
        )
    return type(value)(_definite(part, known) for part in value)


def _hold(code: CodeType, held: list[object]) -> None:
    held += (code, code.co_names, code.co_consts, code.co_linetable, code.co_exceptiontable)
    held += (code.co_filename, code.co_name, code.co_qualname)
    held += (*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars)
    for constant in code.co_consts:
        _hold_constant(constant, held)


def _hold_constant(constant: object, held: list[object]) -> None:
    held.append(constant)
    if isinstance(constant, CodeType):
        _hold(constant, held)
    elif isinstance(constant, (tuple, frozenset)):
        for part in constant:
            _hold_constant(part, held)
