"""Byte code that is the same wherever and whenever it is made."""

from __future__ import annotations

import importlib.util
import marshal
import sys
from pathlib import Path
from types import CodeType

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
    """Marshal `code` so that the bytes depend on it alone.

    marshal marks an object as shareable if anything else in the process refers to it, so the same code gives
    other bytes once another module has interned one of its strings. Here every part of it is held while it
    is written, and so every part is marked, always.
    """
    held: list[object] = []
    _hold(code, held)
    return marshal.dumps(code)


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
