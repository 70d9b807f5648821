"""Agents' files on disk: read within limits, written all or none."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.errors import AppError
from app.files import cannot

LARGEST = 5_000_000  # bytes: no configuration is larger; something else is then in its place
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Change:
    """A file's bytes before and after, None where there is no file. A new file gets `mode`."""

    path: Path
    before: bytes | None
    after: bytes | None
    mode: int = 0o644


def digest(data: bytes | None) -> str:
    """Give the SHA-256 of a file's bytes; "absent" for a file that is not there."""
    return "absent" if data is None else hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes | None:
    """Read an agent's file, None if there is none; raises AppError for what cannot be one."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # not to wait for a pipe
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise AppError(f"{path} is no file", cure="move it away and try again")
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        _refuse_dangling(path)
        return None
    except IsADirectoryError as error:
        raise AppError(f"{path} is a folder", cure="move it away and try again") from error
    except OSError as error:
        raise cannot("read", path, error) from error
    if len(data) > LARGEST:
        raise AppError(f"{path} is larger than {LARGEST // 1_000_000} MB", cure="see what is in it")
    return data


def text_of(path: Path, data: bytes | None) -> str | None:
    """Decode a file's bytes, without its byte order mark; raises AppError for what is no text."""
    if data is None:
        return None
    if b"\x00" in data:
        raise AppError(f"{path} is not text", cure="see what is in it")
    try:
        return data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AppError(f"{path} is not UTF-8 (line {line})", cure="save it as UTF-8") from error


def bytes_of(text: str, before: bytes | None) -> bytes:
    """Encode a text, with the byte order mark that the file had."""
    mark = BOM if before is not None and before.startswith(BOM) else b""
    return mark + text.encode("utf-8")


def write(changes: list[Change]) -> list[Path]:
    """Make all the changes or none, in their order; gives the folders made. Raises AppError.

    Links are followed and stay; mode and owner stay. Every new content is on the disk before the first file
    is replaced, and if a replacement fails those before it are taken back.
    """
    for change in changes:
        check(change)
    made: list[Path] = []
    with contextlib.ExitStack() as stack:
        try:
            staged = [(change, stack.enter_context(_staged(change, made))) for change in changes]
            _replace(staged)
        except BaseException:
            remove_folders(made)
            raise
    return made


def check(change: Change) -> None:
    """Refuse, with an AppError, a file that is not to be changed: another's, or one made read-only."""
    target = _target(change.path)
    try:
        found = target.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot("look at", change.path, error) from error
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        raise AppError(
            f"{change.path} belongs to another user", cure="take it over, or change it as that user"
        )
    if not found.st_mode & stat.S_IWUSR:
        raise AppError(f"{change.path} is read-only", cure=f"run chmod u+w on {target} and try again")


def _replace(staged: list[tuple[Change, Path | None]]) -> None:
    done: list[Change] = []
    for change, temporary in staged:
        target = _target(change.path)
        try:
            if digest(read(change.path)) != digest(change.before):
                raise AppError(f"{change.path} has just been changed by another program", cure="try again")
            if temporary is None:
                target.unlink(missing_ok=True)
            else:
                temporary.replace(target)
        except OSError as error:
            _take_back(done)
            raise cannot("write", change.path, error) from error
        except AppError:
            _take_back(done)
            raise
        done.append(change)


def _take_back(done: list[Change]) -> None:
    for change in reversed(done):
        target = _target(change.path)
        if change.before is None:
            target.unlink(missing_ok=True)
        else:
            with _staged(Change(change.path, change.after, change.before), []) as temporary:
                if temporary is not None:
                    temporary.replace(target)


@contextlib.contextmanager
def _staged(change: Change, made: list[Path]) -> Iterator[Path | None]:
    """Put the new content beside the file, under a name that goes if it is not used; None for a removal."""
    if change.after is None:
        yield None
        return
    target = _target(change.path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        try:
            _make_folders(target.parent, made)
            _write_new(temporary, change.after, target, change.mode)
        except OSError as error:
            raise cannot("write", change.path, error) from error
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_new(temporary: Path, data: bytes, target: Path, mode: int) -> None:
    temporary.unlink(missing_ok=True)  # of a process that was killed, with our number
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if target.exists():
            found = target.stat()
            if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
        else:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def _make_folders(folder: Path, made: list[Path]) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, made)
    folder.mkdir()
    made.append(folder)


def remove_folders(folders: list[Path]) -> None:
    """Remove those of the folders that are empty, the last made first."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _refuse_dangling(path: Path) -> None:
    """A link to what is not there: writing would make a file in a place nobody chose now."""
    if path.is_symlink() and not _target(path).parent.is_dir():
        raise AppError(
            f"{path} is a link to {_target(path)}, whose folder is not there", cure="mend the link"
        )
