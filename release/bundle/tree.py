"""Folders as a whole: copying, tidying, and giving every file one time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copy(src: Path, dst: Path) -> None:
    """Copy a folder with links kept as links; `dst` must not exist, its parents may."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(src, dst, symlinks=True, copy_function=_copy_file)


def _copy_file(src: str, dst: str) -> str:
    shutil.copyfile(src, dst)  # the kernel copies: copy_file_range, or clones where the disk can
    shutil.copymode(src, dst)
    return dst


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. Read-only folders too."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o755)
        shutil.rmtree(path)


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
