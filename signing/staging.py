"""Results that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import Exit, Fault


@contextmanager
def staged(dst: Path) -> Iterator[Path]:
    """Give a path of `dst`'s own name beside it to build at; what stands there at the end becomes `dst`.

    On any error `dst` keeps what it had. A folder cannot replace a folder in one step: for a moment `dst` is
    absent, its old content set aside.
    """
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{dst.name}.", dir=dst.parent))
    except OSError as error:
        raise _disk(dst, error) from error
    try:
        yield scratch / dst.name
        _swap(scratch / dst.name, dst, scratch / "old")
    except OSError as error:
        raise _disk(dst, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _swap(fresh: Path, dst: Path, old: Path) -> None:
    if dst.is_dir() and not dst.is_symlink():
        dst.replace(old)
    fresh.replace(dst)


def _disk(path: Path, error: OSError) -> Fault:
    return Fault(
        f"cannot be written: {error.strerror or error}",
        where=path,
        cure="check the free space and who may write there",
        status=Exit.DISK,
    )
