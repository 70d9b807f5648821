"""A folder as the bucket: what the release tool or any S3 client's sync leaves there."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from worker.ports import Object, Vanished

CHUNK: Final = 256 * 1024
_AT_ONCE: Final = getattr(os, "RWF_NOWAIT", 0)  # Linux: only what needs no disk


class Folder:
    """Objects are files, keys their paths below `root`. A file that is replaced is another object."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"

    async def head(self, key: str) -> Object | None:
        """See ObjectStore."""
        return self.look(key)

    def look(self, key: str) -> Object | None:
        """See worker.sending.Files."""
        try:
            found = os.stat(self._prefix + key)  # noqa: PTH116 - Path costs more than the call
        except (OSError, ValueError):
            return None
        return _object(key, found) if stat.S_ISREG(found.st_mode) else None

    async def stream(self, found: Object, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """See ObjectStore."""
        with self.opened(found) as file:
            for position in range(start, end, CHUNK):
                yield await _read(file, position, min(CHUNK, end - position))

    @contextmanager
    def opened(self, found: Object) -> Iterator[int]:
        """Open that very object's file; gives its descriptor. Raises Vanished."""
        try:
            file = os.open(self.root / found.key, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise Vanished(found.key) from None
        try:
            if _object(found.key, os.fstat(file)) != found:
                raise Vanished(found.key)
            yield file
        finally:
            os.close(file)


def _object(key: str, found: os.stat_result) -> Object:
    etag = f'"{found.st_mtime_ns:x}-{found.st_ino:x}-{found.st_size:x}"'
    return Object(key, found.st_size, etag, found.st_mtime)


async def _read(file: int, position: int, size: int) -> bytes:
    """Read exactly so much: at once if it is in the page cache, else in a thread. Raises Vanished."""
    if _AT_ONCE:
        data = bytearray(size)
        try:
            if os.preadv(file, [data], position, _AT_ONCE) == size:
                return data  # type: ignore[return-value]  # nobody changes it any more
        except OSError:
            pass  # not in memory, or a file system that cannot tell
    whole = await asyncio.to_thread(os.pread, file, size, position)
    if len(whole) != size:  # cut short while it was being sent
        raise Vanished(str(position))
    return whole
