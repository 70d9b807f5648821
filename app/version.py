"""Which version this is: the bundle's when packaged, else that it runs from source."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

NAME = "API for Cursor"
FROM_SOURCE = "0.0.0+source"


def resources(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Give the bundle's Contents/Resources when packaged (py2app's boot sets RESOURCEPATH), else None."""
    folder = environ.get("RESOURCEPATH")
    return Path(folder) if folder else None


def read_version(resource_folder: Path | None) -> str:
    """Read CFBundleShortVersionString from the Info.plist beside `resource_folder`."""
    if resource_folder is None:
        return FROM_SOURCE
    try:
        plist = plistlib.loads((resource_folder.parent / "Info.plist").read_bytes())
        return str(plist["CFBundleShortVersionString"])
    except (OSError, plistlib.InvalidFileException, KeyError, ValueError):
        return FROM_SOURCE


@cache
def version() -> str:
    """Give the version of this process."""
    return read_version(resources())
