"""Apple installer packages: a xar archive of components, each with a `Payload` of files."""

from __future__ import annotations

import gzip
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO
from xml.etree import ElementTree

from errors import Exit, Fault
from release.inputs.payload import Header, decoded, entries
from release.inputs.unpack import everything, inside
from release.inputs.xar import MAGIC, BadPackage, exactly, members, section

FOLDER, LINK, FILE = 0o040000, 0o120000, 0o100000  # of a mode, by stat.h
DAMAGE = (BadPackage, EOFError, ValueError, gzip.BadGzipFile, lzma.LZMAError, struct.error, zlib.error)


def is_package(path: Path) -> bool:
    """Whether a file starts like a xar archive."""
    with path.open("rb") as stream:
        return stream.read(4) == MAGIC


def unpack_package(archive: Path, folder: Path, keep: Callable[[str], bool] = everything) -> None:
    """Unpack the payload of every component `X.pkg` of a package into `folder/X.pkg`.

    A package of one component has no name for it: its files land in `folder` itself. Only files, folders and
    symbolic links that stay inside are made. `keep` chooses payloads by their path in the package. Raises
    Fault INPUT_HASH if the package is damaged or unsafe.
    """
    try:
        with archive.open("rb") as stream:
            for member in members(stream):
                place = PurePosixPath(member.path)
                if place.name == "Payload" and keep(member.path):
                    target = folder / place.parent
                    target.mkdir(parents=True, exist_ok=True)
                    with section(stream, member) as payload:
                        _unpack(decoded(payload), target)
    except DAMAGE as error:
        raise _damaged(archive, str(error) or "it ends too early") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = Path(error.filename2 or error.filename).name
        raise _damaged(archive, f"it holds {name} more than once") from error
    except ElementTree.ParseError as error:
        raise _damaged(archive, f"its table of contents cannot be read: {error}") from error


def _damaged(archive: Path, what: str) -> Fault:
    return Fault(
        f"the installer package cannot be unpacked: {what}",
        where=archive,
        cure="it has the pinned digest, so the pin itself is wrong: choose another version",
        status=Exit.INPUT_HASH,
    )


def _unpack(stream: IO[bytes], folder: Path) -> None:
    links: list[tuple[Path, str]] = []
    for header in entries(stream):
        name = header.name.removeprefix("./").rstrip("/")
        kind = header.mode & 0o170000
        if not inside(PurePosixPath(), name) or ".." in PurePosixPath(name).parts:
            raise BadPackage(f"it holds {name!r}, which would land outside")
        place = folder / name
        if kind == FOLDER:
            place.mkdir(parents=True, exist_ok=True)
        elif kind == LINK:
            target = exactly(stream, header.size).decode()
            if not inside(PurePosixPath(name).parent, target):
                continue  # links to other places of a Mac, such as /Applications: not followed, not made
            links.append((place, target))
        elif kind == FILE:
            _file(stream, header, place)
        else:
            raise BadPackage(f"it holds {name!r}, which is neither file, folder nor symbolic link")
    for place, target in links:  # last of all, so that no file can be written through one
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


def _file(stream: IO[bytes], header: Header, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as out:
        left = header.size
        while left:
            block = stream.read(min(left, 1 << 20))
            if not block:
                raise EOFError
            out.write(block)
            left -= len(block)
    if header.mode & 0o111:
        place.chmod(0o755)
