"""One server to a data folder: who it is, where it listens, and how the user's other programs find it.

The lock tells that it runs, for the system lets go of it however a process ends; the runtime file beside it
tells where. That file has a token, so only this user can read it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.errors import AppError
from app.files import cannot, locked, make_private, read_private, write_private
from app.preferences import FILE as PREFERENCES
from app.preferences import File
from app.settings import DEFAULT_HOST, Settings
from app.version import NAME, version

LOCK = "server.lock"
FILE = "server.json"
ALREADY_RUNNING = 3
"""The exit status of a second copy."""
PATIENCE = 3.0  # seconds for a server on this machine to answer


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server as its runtime file has it. `url` is its origin, `token` what lets this user's programs in."""

    url: str
    pid: int
    version: str
    started: float
    token: str

    def __repr__(self) -> str:
        return f"Running({self.url}, pid={self.pid})"

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.url).port or 0

    def health(self) -> dict[str, Any] | None:
        """Ask it how it is; None if it does not answer, or is another program."""
        status, answer = self.ask("GET", "/health")
        return answer if status == 200 and answer.get("service") == NAME else None

    def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Send a request with the token; gives the status (0: no answer) and the JSON."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, msgspec.json.decode(response.read(), type=dict[str, Any])
        except (OSError, ValueError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Place:
    """The right to be the server of a data folder; `main` is False beside one that was there before."""

    data_dir: Path
    main: bool

    def publish(self, url: str, token: str) -> None:
        """Tell the user's other programs where this one listens."""
        if self.main:
            running = Running(url=url, pid=os.getpid(), version=version(), started=time.time(), token=token)
            write_private(self.data_dir / FILE, msgspec.json.encode(running))


@contextlib.contextmanager
def claim(data_dir: Path, *, asked: int | None = None) -> Iterator[Place]:
    """Be the server of `data_dir` during the block.

    Beside one that runs already this is refused, unless the user `asked` for another port. Raises AppError.
    """
    try:
        make_private(data_dir)
    except OSError as error:
        raise cannot("make", data_dir, error) from error
    with locked(data_dir / LOCK, wait=False) as main:
        if not main:
            _make_sure_it_is_meant(data_dir, asked)
        try:
            yield Place(data_dir, main)
        finally:
            if main:
                with contextlib.suppress(OSError):
                    (data_dir / FILE).unlink(missing_ok=True)


def find(data_dir: Path) -> Running | None:
    """Find the server of `data_dir`, if one runs. It may be too busy, or too early, to answer."""
    try:
        with locked(data_dir / LOCK, wait=False, make=False) as free:
            return None if free else _read(data_dir)
    except (AppError, FileNotFoundError):
        return None


def address(settings: Settings) -> str:
    """Give the origin of the server that runs, or else of the one that would: agents are set up with it."""
    running = find(settings.data_dir)
    if running is not None:
        return running.url
    preferred = File(settings.config_dir / PREFERENCES).load().preferences if settings.config_dir else None
    port = settings.following(preferred).port if preferred else settings.port
    return f"http://{DEFAULT_HOST}:{port}"


def _read(data_dir: Path) -> Running | None:
    try:
        return msgspec.json.decode(read_private(data_dir / FILE), type=Running)
    except (OSError, ValueError):
        return None


def _make_sure_it_is_meant(data_dir: Path, asked: int | None) -> None:
    other = _read(data_dir)
    if asked is not None and (other is None or asked != other.port):
        return
    where = f"on {other.url}/v1 (process {other.pid})" if other else "and about to listen"
    raise AppError(
        f"{NAME} runs already, {where}",
        cure="use that one, or give this one a port of its own with --port",
        status=ALREADY_RUNNING,
    )
