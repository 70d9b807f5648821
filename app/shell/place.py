"""Whether the app lies where it can stay: macOS runs a fresh download from a place of its own, read-only."""

from __future__ import annotations

import os
from pathlib import Path

from app.version import NAME

MOVE = f"Drag {NAME} into Applications and open it there."
WHY = "Where it is now it cannot update itself, nor start at login."


def trouble(bundle: Path) -> str | None:
    """Say what is wrong with the place of the app at `bundle`, for the user to read; None if nothing is."""
    if "/AppTranslocation/" in f"{bundle}/":
        return f"macOS runs it from a temporary place, because it was not moved since it came. {MOVE} {WHY}"
    if read_only(bundle):
        return f"It runs from a disk image. {MOVE} {WHY}"
    return None


def read_only(path: Path) -> bool:
    """Say if the volume that `path` is on cannot be written to."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
