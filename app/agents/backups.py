"""What agents' files were before each change: dated copies in the app's data folder, with an index.

`backups/<agent>/index.json` lists the changes, oldest first; each file's former bytes stand beside it. The
newest change can be undone, which is itself a change, so undoing twice does it again.
"""

from __future__ import annotations

import contextlib
import json
import stat
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from app.agents.disk import Change, digest
from app.errors import AppError
from app.files import cannot, make_private, write_private

KEPT = 20  # changes of an agent


@dataclass(frozen=True, slots=True)
class Saved:
    """A file in a change: `copy` names its former bytes (None: there was none), `mode` its permissions.

    The digests tell whether it still is what the change made of it.
    """

    path: str
    copy: str | None
    before: str
    after: str
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Entry:
    """A change: what was done, at what time (epoch seconds), whether the agent was set up after it.

    `folders` were made for it; `done` is False while it is only prepared.
    """

    action: str
    time: float
    installed: bool
    files: tuple[Saved, ...]
    folders: tuple[str, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class Backups:
    """An agent's backups in `folder`."""

    folder: Path

    def entries(self) -> list[Entry]:
        """Give the changes, oldest first; raises AppError where the index is broken."""
        index = self.folder / "index.json"
        try:
            entries = [_entry(raw) for raw in json.loads(index.read_bytes())]
            return [entry for entry in entries if _happened(entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot("read", index, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise AppError(
                f"{index} cannot be read", cure="move it away; the copies beside it stay"
            ) from error

    def prepare(self, action: str, changes: list[Change], *, installed: bool, now: float) -> None:
        """Keep what the files are now, before `changes` are made. Raises AppError."""
        entries = self.entries()
        try:
            make_private(self.folder)
        except OSError as error:
            raise cannot("write", self.folder, error) from error
        stamp = _stamp(now, self.folder)
        saved = tuple(self._copy(change, f"{stamp}-{number}") for number, change in enumerate(changes))
        self._write([*entries, Entry(action, now, installed, saved)])

    def done(self, folders: list[Path]) -> None:
        """Note that the newest change was made, and the folders made for it, which undoing it removes."""
        *earlier, last = self.entries()
        self._write([*earlier, replace(last, folders=tuple(map(str, folders)), done=True)])

    def former(self, saved: Saved) -> bytes | None:
        """Give a file's bytes from before a change; raises AppError if the copy is gone or damaged."""
        if saved.copy is None:
            return None
        path = self.folder / saved.copy
        try:
            data = path.read_bytes()
        except OSError as error:
            raise cannot("read", path, error) from error
        if digest(data) != saved.before:
            raise AppError(f"the backup {path} is damaged", cure="restore the file by hand")
        return data

    def installation(self) -> list[Entry]:
        """Give the changes since the agent was last not set up by us, oldest first; [] if it is not now."""
        return _installation(self.entries())

    def _copy(self, change: Change, stamp: str) -> Saved:
        name, mode = None, change.mode
        if change.before is not None:
            mode = _mode(change.path, mode)
            name = f"{stamp}-{change.path.name.lstrip('.')}"
            write_private(self.folder / name, change.before)
        return Saved(str(change.path), name, digest(change.before), digest(change.after), mode)

    def _write(self, entries: list[Entry]) -> None:
        kept = self._bounded(entries)
        write_private(
            self.folder / "index.json",
            json.dumps([asdict(entry) for entry in kept], indent=1).encode("utf-8"),
        )
        named = {saved.copy for entry in kept for saved in entry.files} | {"index.json"}
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name not in named:
                    path.unlink()

    def _bounded(self, entries: list[Entry]) -> list[Entry]:
        """Drop the oldest, but not the one that the present installation began with."""
        surplus = len(entries) - KEPT
        if surplus <= 0:
            return entries
        first = len(entries) - len(_installation(entries))
        droppable = [index for index in range(len(entries)) if index != first][:surplus]
        return [entry for index, entry in enumerate(entries) if index not in droppable]


def _happened(entry: Entry) -> bool:
    """Say whether a change was made, not only prepared by a process that ended before it could say so."""
    return entry.done or all(_present(Path(saved.path)) == saved.after for saved in entry.files)


def _mode(path: Path, default: int) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return default


def _present(path: Path) -> str:
    try:
        return digest(path.read_bytes())
    except OSError:
        return "absent"


def _installation(entries: list[Entry]) -> list[Entry]:
    run: list[Entry] = []
    for entry in reversed(entries):
        if not entry.installed:
            break
        run.insert(0, entry)
    return run


def _stamp(now: float, folder: Path) -> str:
    """Give a name that no copy in `folder` begins with: the time, and a number should that be taken."""
    time_of = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    taken = [path.name for path in folder.iterdir()]
    number = 0
    while any(name.startswith(f"{time_of}.{number}-") for name in taken):
        number += 1
    return f"{time_of}.{number}"


def _entry(raw: Any) -> Entry:
    """Read an entry; raises KeyError or TypeError."""
    files = tuple(Saved(**saved) for saved in raw["files"])
    return Entry(**{**raw, "files": files, "folders": tuple(raw["folders"])})
