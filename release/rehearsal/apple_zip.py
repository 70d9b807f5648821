"""Unpacking a zip archive as ditto makes them: modes, links, nothing outside of the folder."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from errors import Exit, Fault

LARGEST = 4 << 30
PIECE = 1 << 20


class ZipFault(Fault):
    """The archive is damaged or not what it should be."""

    status = Exit.NOTARY_INVALID


def unpack(archive: Path, dst: Path) -> None:
    """Unpack into the new folder `dst`; resource forks (__MACOSX) stay out. Raises ZipFault."""
    try:
        with zipfile.ZipFile(archive) as source:
            members = [each for each in source.infolist() if not each.filename.startswith("__MACOSX/")]
            if sum(each.file_size for each in members) > LARGEST:
                raise ZipFault("it unpacks to more than 4 GiB")
            dst.mkdir(parents=True)
            links = [each for each in members if stat.S_ISLNK(each.external_attr >> 16)]
            for each in members:
                if each not in links:
                    _write(source, each, _inside(dst, each.filename))
            for each in links:  # last, so that no file is written through one
                _inside(dst, each.filename).symlink_to(source.read(each).decode())
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise ZipFault(f"the zip archive is damaged: {error}") from error
    except OSError as error:
        raise ZipFault(f"the zip archive cannot be unpacked: {error.strerror}") from error


def _inside(dst: Path, name: str) -> Path:
    parts = Path(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise ZipFault(f"the zip archive names a file outside of itself: {name}")
    return dst.joinpath(*parts)


def _write(source: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open(member) as data, path.open("xb") as file:
        while piece := data.read(PIECE):
            file.write(piece)
    path.chmod((member.external_attr >> 16) & 0o777 or 0o644)
