"""Archives into folders: zip (wheels too) and tar, safely and always with the same result.

Nothing may land outside the folder, by name or through a link. Modes become 0755 or 0644, so that the
umask and the archive's maker leave no trace.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from errors import Exit, Fault

NATIVE: Final = (
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\xca\xfe\xba\xbf",
)


def everything(name: str) -> bool:
    """Keep every name."""
    return True


def unpack(archive: Path, folder: Path, keep: Callable[[str], bool] = everything) -> None:
    """Unpack a zip or tar file into an existing folder: what `keep` accepts, by its name in the archive.

    Raises Fault INPUT_HASH if the archive is damaged or unsafe.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, folder, keep)
        else:
            _untar(archive, folder, keep)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _unsafe(
            archive, f"holds {Path(error.filename2 or error.filename).name} more than once"
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise _unsafe(archive, f"cannot be unpacked: {str(error).partition(chr(10))[0]}") from error


def inside(root: PurePosixPath, name: str) -> bool:
    """Whether `name`, taken from `root` (relative to the folder), stays in the folder."""
    if name.startswith("/") or "\0" in name or "\\" in name:
        return False
    depth = 0
    for part in (*root.parts, *PurePosixPath(name).parts):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True


def _unzip(archive: Path, folder: Path, keep: Callable[[str], bool]) -> None:
    links: list[tuple[str, str]] = []
    with zipfile.ZipFile(archive) as source:
        for item in source.infolist():
            mode = item.external_attr >> 16
            if not keep(item.filename):
                continue
            if stat.S_ISLNK(mode):
                links.append((item.filename, source.read(item).decode()))
            elif not item.is_dir():
                with source.open(item) as stream:
                    _write(archive, folder, item.filename, stream, mode)
            else:
                _place(archive, folder, item.filename).mkdir(parents=True, exist_ok=True)
    _link_all(archive, folder, links)


def _untar(archive: Path, folder: Path, keep: Callable[[str], bool]) -> None:
    links: list[tuple[str, str]] = []
    with tarfile.open(archive) as source:
        for item in source:
            if not keep(item.name):
                continue
            stream = source.extractfile(item) if item.isreg() else None
            if stream is not None:
                _write(archive, folder, item.name, stream, item.mode)
            elif item.issym():
                links.append((item.name, item.linkname))
            elif item.isdir():
                _place(archive, folder, item.name).mkdir(parents=True, exist_ok=True)
            else:
                raise _unsafe(archive, f"holds {item.name}, which is neither file, folder nor symbolic link")
    _link_all(archive, folder, links)


def _place(archive: Path, folder: Path, name: str) -> Path:
    if not inside(PurePosixPath(), name) or ".." in PurePosixPath(name).parts:
        raise _unsafe(archive, f"holds {name!r}, which would land outside")
    return folder / name


def _write(archive: Path, folder: Path, name: str, stream: IO[bytes], mode: int) -> None:
    target = _place(archive, folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    if mode & 0o111:
        target.chmod(0o755)


def _link_all(archive: Path, folder: Path, links: list[tuple[str, str]]) -> None:
    # Last of all, so that no file can be written through one.
    for name, target in links:
        place = _place(archive, folder, name)
        if not inside(PurePosixPath(name).parent, target):
            raise _unsafe(archive, f"holds {name!r}, a link to {target!r}, which lies outside")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


def _unsafe(archive: Path, what: str) -> Fault:
    return Fault(
        f"the archive {what}",
        where=archive,
        cure="it has the pinned digest, so the pin itself is wrong: choose another version",
        status=Exit.INPUT_HASH,
    )


def walk(folder: Path | str, keep: Callable[[str], bool] = bool) -> Iterator[os.DirEntry[str]]:
    """Every entry below a folder whose name `keep` accepts, sorted, folders before their content.

    Links are not followed; folders that are not kept are not entered.
    """
    with os.scandir(folder) as entries:
        ordered = sorted((entry for entry in entries if keep(entry.name)), key=lambda entry: entry.name)
    for entry in ordered:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path, keep)


def is_native(path: Path) -> bool:
    """Whether a file is an ELF or Mach-O one, by its first four bytes."""
    with path.open("rb") as stream:
        return stream.read(4) in NATIVE


def normalise(folder: Path, *, epoch: int) -> None:
    """Give everything below `folder` one time (seconds) and one of two modes (folders and code: 0755)."""
    for entry in walk(folder):
        if not entry.is_symlink():
            code = entry.is_dir() or entry.stat().st_mode & 0o111 or is_native(Path(entry.path))
            Path(entry.path).chmod(0o755 if code else 0o644)
        os.utime(entry.path, (epoch, epoch), follow_symlinks=False)
    folder.chmod(0o755)
    os.utime(folder, (epoch, epoch))
