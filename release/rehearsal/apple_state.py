"""Where the stand-in for Apple keeps what it knows: small files, each written whole or not at all.

Everything is read from disk when it is needed, so that another process, or the next run after a kill, finds
the same submissions and tickets.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any | None:
    """Read JSON; None if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the file's content, made and kept the first time; of two makers at once the first one wins."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(make())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return path.read_bytes()
