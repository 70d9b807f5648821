"""The user's cache of inputs: archives by their digest, folders made from them, each made once.

Layout below the root: `archives/<digest><suffix>` with a note beside it of size and time at which it was last
found intact; `trees/<digest>/` and `derived/<key>/` with a seal beside each; `locks/` and `tmp/`.

Everything is made in `tmp/` under a file lock and appears by rename, so that processes may share the cache
and any of them may be killed at any moment: the lock dies with its process, and what it left in `tmp/` is
removed by the next one to take the same lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs import npm, pypi, url
from release.inputs.pins import Digest, Pin
from release.inputs.pkg import is_package, unpack_package
from release.inputs.unpack import normalise, unpack, walk
from release.inputs.vendor import check_vendor

if TYPE_CHECKING:
    import requests

# The time that every file in the cache carries: any would do, but zip archives cannot write one before 1980.
EPOCH: Final = 1_577_836_800
FULL: Final = {errno.ENOSPC, errno.EDQUOT}
CLOSED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def default_root(environ: Mapping[str, str] | None = None) -> Path:
    """Find the cache folder: $API_FOR_CURSOR_CACHE, or the place the system has for a user's caches."""
    environ = os.environ if environ is None else environ
    if chosen := environ.get("API_FOR_CURSOR_CACHE"):
        return Path(chosen).absolute()
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "api-for-cursor"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "api-for-cursor"


class Cache:
    """See the module. What its methods return belongs to everyone: copy from it, never write into it."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        session: requests.Session | None = None,
        on_progress: url.Progress | None = None,
    ) -> None:
        self.root = default_root() if root is None else root.absolute()
        self._session = session
        self._on_progress = on_progress

    def fetch(self, pin: Pin, *, runner: Runner) -> Path:
        """Give the pinned archive, downloaded only if it is absent or damaged.

        Raises Fault: INPUT_HASH naming both values, INPUT_MISSING if there is no such package, NETWORK, DISK,
        CONFIG if the pin has no digest.
        """
        expected = pin.expected
        final = self.root / "archives" / f"{expected.key}{suffix(pin)}"
        if noted(final):
            return final
        with self._disk(), self._lock(expected.key) as work:
            if not (final.exists() and Digest.of_file(final, expected.algorithm) == expected):
                found = self._download(pin, work, runner)
                require_digest(pin, found)
                final.parent.mkdir(parents=True, exist_ok=True)
                found.replace(final)
            note(final)
        return final

    def tree(self, pin: Pin, *, runner: Runner) -> Path:
        """Give the archive unpacked, its vendor's signature checked. Raises like fetch, and INPUT_TEAM."""

        def build(folder: Path) -> None:
            archive = self.fetch(pin, runner=runner)
            require_digest(pin, archive)
            (unpack_package if is_package(archive) else unpack)(archive, folder, pin.keeps)
            check_vendor(pin, folder)

        # What was unpacked and which signature was asked for are part of the name: a pin that asks for
        # something else must not find an old answer.
        asked = hashlib.sha256(f"{pin.team_id}\0{pin.signed}\0{pin.only}".encode()).hexdigest()[:8]
        return self._once("trees", f"{pin.expected.key[:71]}-{asked}", build)

    def derived(self, key: str, build: Callable[[Path], None]) -> Path:
        """Give the folder for `key`, which names all that it depends on; `build` fills it if it is absent."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", key)[:40].strip("-")
        return self._once("derived", f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:32]}", build)

    def _once(self, kind: str, name: str, build: Callable[[Path], None]) -> Path:
        final = self.root / kind / name
        mark = final.with_name(f"{name}.seal")
        if sealed(final, mark):
            return final
        with self._disk(), self._lock(f"{kind}-{name}") as work:
            if sealed(final, mark):  # somebody else made it while this process waited for the lock
                return final
            fresh = work / "fresh"
            fresh.mkdir()
            build(fresh)
            normalise(fresh, epoch=EPOCH)
            if final.exists():
                final.rename(work / "damaged")
            final.parent.mkdir(parents=True, exist_ok=True)
            fresh.rename(final)
            write(mark, seal(final))
        return final

    def _download(self, pin: Pin, work: Path, runner: Runner) -> Path:
        if pin.source == "pypi":
            return pypi.download(pin, work, runner=runner)
        if pin.source == "npm":
            return npm.download(pin, work, runner=runner)
        return url.download(pin, work, session=self._session, on_progress=self._on_progress)

    @contextmanager
    def _lock(self, name: str) -> Iterator[Path]:
        """Hold the lock `name`; gives an empty work folder on the cache's file system."""
        locks, work = self.root / "locks", self.root / "tmp" / name
        locks.mkdir(parents=True, exist_ok=True)
        handle = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
        finally:
            os.close(handle)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise full(self.root) from error
            if error.errno in CLOSED:
                raise closed(self.root, error) from error
            raise


def full(root: Path) -> Fault:
    """The fault for a disk without room."""
    free = shutil.disk_usage(root).free // 1_000_000 if root.exists() else 0
    return Fault(
        f"no room for the inputs: {free} MB are free, about 2 GB are needed",
        where=root,
        cure="make room, or set API_FOR_CURSOR_CACHE to a folder on another disk; nothing is lost",
        status=Exit.DISK,
    )


def closed(root: Path, error: OSError) -> Fault:
    """The fault for a cache folder that cannot be written."""
    return Fault(
        f"the cache cannot be written: {error.strerror}",
        where=error.filename or root,
        cure="set API_FOR_CURSOR_CACHE to a folder of your own",
        status=Exit.DISK,
    )


def suffix(pin: Pin) -> str:
    """The file name ending of a pin's archive."""
    if pin.source == "url":
        return PurePosixPath(pin.package).suffix
    return ".whl" if pin.source == "pypi" else ".tgz"


def require_digest(pin: Pin, path: Path) -> None:
    """Raise Fault INPUT_HASH, naming both values, unless `path` has the pinned digest."""
    expected = pin.expected
    found = Digest.of_file(path, expected.algorithm)
    if found != expected:
        raise hash_mismatch(pin, str(found))


def hash_mismatch(pin: Pin, found: str) -> Fault:
    """The fault for content that is not what was pinned."""
    return Fault(
        f"{pin.title} is not the file that was pinned",
        where=pin.package,
        details=(f"pinned {pin.digest}", f"found  {found}"),
        cure="do not use it: either the download was tampered with, or the pin in release.toml is wrong",
        status=Exit.INPUT_HASH,
    )


def write(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text)
    fresh.replace(path)


def note(path: Path) -> None:
    """Note beside an archive that it was found intact as it is now."""
    write(path.with_name(f"{path.name}.ok"), _state(path))


def noted(path: Path) -> bool:
    """Whether an archive is as it was when its digest was last found right (by size and time)."""
    try:
        return path.with_name(f"{path.name}.ok").read_text() == _state(path)
    except OSError:
        return False


def _state(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}\n"


def seal(folder: Path) -> str:
    """Sum up a folder's names, sizes, modes, times and links, without reading content."""
    state = hashlib.sha256()
    for entry in walk(folder):
        stat = entry.stat(follow_symlinks=False)
        size = 0 if entry.is_dir(follow_symlinks=False) else stat.st_size
        line = f"{entry.path[len(str(folder)) :]}\0{stat.st_mode:o}\0{size}\0"
        # A folder's own time changes when a temporary file comes and goes; the names in it are summed.
        line += "" if entry.is_dir(follow_symlinks=False) else str(stat.st_mtime_ns)
        state.update(line.encode(errors="surrogateescape") + b"\n")
    return state.hexdigest() + "\n"


def sealed(folder: Path, mark: Path) -> bool:
    """Whether a folder is as it was when it was made."""
    try:
        return mark.read_text() == seal(folder)
    except OSError:
        return False
