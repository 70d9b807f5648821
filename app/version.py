"""Which version this is, and how it is called: as packaged, or from source."""

from __future__ import annotations

import os
import shlex
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
    import plistlib  # only a packaged app has one

    try:
        plist = plistlib.loads((resource_folder.parent / "Info.plist").read_bytes())
        return str(plist["CFBundleShortVersionString"])
    except (OSError, plistlib.InvalidFileException, KeyError, ValueError):
        return FROM_SOURCE


def command(words: str = "") -> str:
    """Give the line for a shell that runs one of our commands: `python -m app …`, or the packaged program."""
    folder = resources()
    program = "python -m app" if folder is None else shlex.quote(str(folder.parent / "MacOS" / NAME))
    return f"{program} {words}".rstrip()


@cache
def version() -> str:
    """Give the version of this process."""
    return read_version(resources())
