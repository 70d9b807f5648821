"""Content digests of files and trees, fast the second time.

A digest covers names, kinds, permission bits, link targets and bytes: what a release could depend on, and
nothing that changes by itself. Reading 150 MB takes a while, so a digest is kept next to the tree's `stat`
figures; as long as those are the same, nothing is read. (A file changed within the clock's tick of the look
at it could fool size and mtime, but not the change time and inode that are compared as well.)
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from release.files import sha256, write_atomic

_SKIP = {"__pycache__", ".DS_Store", "node_modules", ".mypy_cache", ".ruff_cache"}
_LOOKS = 5


class Digests:
    """Digests by path, remembered in `cache_file` between runs."""

    def __init__(self, cache_file: Path) -> None:
        self._file = cache_file
        self._known: dict[str, tuple[str, str]] = _load(cache_file)
        self._dirty = False

    def of(self, path: Path) -> str:
        """`sha256:<hex>` of a file, link or tree; `absent` if there is nothing."""
        if not os.path.lexists(path):
            return "absent"
        figures = _steadily(_figures, path)
        known = self._known.get(str(path))
        if known and known[0] == figures:
            return known[1]
        digest = content_digest(path)
        self._known[str(path)] = (figures, digest)
        self._dirty = True
        return digest

    def save(self) -> None:
        """Write what was learned, atomically; a lost cache costs time only."""
        if self._dirty:
            write_atomic(self._file, json.dumps(self._known).encode())
            self._dirty = False


def content_digest(path: Path) -> str:
    """`sha256:<hex>` over everything below `path`, in name order."""
    return _steadily(_content, path)


def _steadily(look: Callable[[Path], str], path: Path) -> str:
    """Look again if something below `path` goes while it is looked at: what has taken its place counts.

    Temporary files pass through folders that others write to.
    """
    for _ in range(_LOOKS - 1):
        with suppress(FileNotFoundError):
            return look(path)
    return look(path)


def _content(path: Path) -> str:
    total = hashlib.sha256()
    for relative, full, info in _walk(path):
        total.update(_line(relative, full, info))
    return f"sha256:{total.hexdigest()}"


def _line(relative: str, full: Path, info: os.stat_result) -> bytes:
    if stat.S_ISLNK(info.st_mode):
        kind, body = "link", str(full.readlink())
    elif stat.S_ISDIR(info.st_mode):
        kind, body = "dir", ""
    else:
        kind, body = "file", sha256(full)
    return f"{relative}\0{kind}\0{stat.S_IMODE(info.st_mode):o}\0{body}\n".encode("utf-8", "surrogateescape")


def _figures(path: Path) -> str:
    total = hashlib.sha256()
    for relative, _, info in _walk(path):
        # A folder's own times change when a temporary file passes through it: its name and mode are enough.
        own = (0, 0, 0, 0) if stat.S_ISDIR(info.st_mode) else _times(info)
        total.update(f"{relative}\0{info.st_mode}\0{own}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _times(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


def _walk(path: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    info = path.lstat()
    yield "", path, info
    if stat.S_ISDIR(info.st_mode):
        yield from _below(os.fspath(path), "")


def _below(folder: str, prefix: str) -> Iterator[tuple[str, Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        found = sorted((entry for entry in entries if entry.name not in _SKIP), key=lambda entry: entry.name)
    for entry in found:
        relative = prefix + entry.name
        yield relative, Path(entry.path), entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, relative + "/")


def _load(path: Path) -> dict[str, tuple[str, str]]:
    try:
        data = json.loads(path.read_bytes())
        return {key: (figures, digest) for key, (figures, digest) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
