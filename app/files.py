"""Files of the user's: read and written so that nothing is lost and nobody else can look."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from app.errors import AppError

LARGEST = 1_000_000  # bytes of a file of ours


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path`, readable by this user only: whole, or what was there stays. Raises AppError.

    A symbolic link is followed, so that a linked file stays linked.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        make_private(target.parent)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot("write", path, error) from error


def read_private(path: Path) -> str:
    """Give the text of a file of ours, and take back what others may do with it. Raises OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            with contextlib.suppress(OSError):
                os.fchmod(file.fileno(), 0o600)
        return file.read(LARGEST).decode("utf-8")


def make_private(folder: Path) -> None:
    """Make a folder that only this user can enter; one that exists stays as it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def cannot(do: str, path: Path, error: OSError) -> AppError:
    """Say why something could not be done with a file, and what to do about it."""
    cures = {
        errno.ENOSPC: "make room on the disk and try again; nothing was changed",
        errno.EDQUOT: "make room within your quota and try again; nothing was changed",
        errno.EROFS: "that disk can only be read; set API_FOR_CURSOR_DATA_DIR to a folder elsewhere",
        errno.EACCES: "see who may write there",
    }
    return AppError(f"cannot {do} {path}: {error.strerror}", cure=cures.get(error.errno or 0))


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True, make: bool = True) -> Iterator[bool]:
    """Hold a lock by the file at `path` during the block; False if another has it and `wait` is off.

    The system lets go of it when the process ends, however it does. Raises AppError, and FileNotFoundError
    where the file is not to be made.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
    except OSError as error:
        if not make and isinstance(error, FileNotFoundError):
            raise
        raise cannot("write", path, error) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
