"""Folders as a whole: copying, tidying, and giving every file one time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def copy(src: Path, dst: Path) -> None:
    """Copy a folder with links kept as links; `dst` must not exist, its parents may.

    Files keep whether they are executable. That the source may not be written to is not copied.
    """
    dst.mkdir(parents=True)
    for entry in sorted(os.scandir(src), key=lambda one: one.name):
        target = dst / entry.name
        if entry.is_symlink():
            target.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir():
            copy(Path(entry.path), target)
        else:
            shutil.copyfile(entry.path, target)  # the kernel copies
            target.chmod(0o755 if entry.stat().st_mode & 0o111 else 0o644)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. Read-only folders too."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o755)
        shutil.rmtree(path)


@contextmanager
def workshop(dst: Path) -> Iterator[Path]:
    """Give an empty folder beside `dst` to make it in, gone afterwards.

    Its name follows from `dst`, so what a killed run left is cleared away by the next.
    """
    folder = dst.with_name(f".{dst.name}.making")
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder.resolve()
    finally:
        remove(folder)


def prune(root: Path) -> None:
    """Remove folders with nothing in them: a signature can't seal one, and archives drop them."""
    for folder, _, _ in os.walk(root, topdown=False):
        path = Path(folder)
        if path != root and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def settle(root: Path, epoch: int) -> None:
    """Give every file, link and folder `epoch` as its time, and one of two modes: 0755 or 0644."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _settle_file(os.path.join(folder, name), epoch)  # noqa: PTH118 - a thousand files
        for name in os.listdir(folder):  # noqa: PTH208
            os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=False)  # noqa: PTH118
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - what every app has
    os.utime(root, (epoch, epoch))


def _settle_file(path: str, epoch: int) -> None:
    if os.path.islink(path):  # noqa: PTH114
        return
    executable = os.stat(path).st_mode & 0o111  # noqa: PTH116
    os.chmod(path, 0o755 if executable else 0o644)  # noqa: PTH101
