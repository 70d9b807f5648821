"""The site on uvicorn, with a folder or an S3 bucket, and SQLite: `python -m worker.hosts.local`."""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.core import make
from worker.hosts.local.cipher import AesGcm
from worker.hosts.local.folder import Folder
from worker.hosts.local.outbound import Http
from worker.hosts.local.sqlite import Sqlite
from worker.hosts.local.zerocopy import ZeroCopy
from worker.hosts.settings import load, patience
from worker.ports import ObjectStore, Ports, Unavailable
from worker.site.pages import FOLDER

ASSETS = StaticFiles(directory=FOLDER / "assets")


class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        """See Clock."""
        return time.time()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Raises KeyboardInterrupt if that comes before there was anything to stop."""
    asked_for = parser()
    asked = asked_for.parse_args(argv)
    if asked.releases and not asked.releases.is_dir():
        asked_for.error(f"there is no folder {asked.releases}")
    try:
        settings = load(os.environ, asked.vars)
    except (OSError, UnicodeDecodeError) as error:
        asked_for.error(f"{asked.vars} cannot be read: {error}")
    try:
        database = _database(asked.data)
    except (OSError, sqlite3.Error, Unavailable) as error:
        asked_for.error(f"{asked.data} cannot be used: {error}")
    outbound = Http(patience(settings) / 1000)
    ports = Ports(_store(asked), database, outbound, AesGcm(), SystemClock(), settings)
    application = with_lifespan(make(ports, ASSETS), outbound.close, database.close)
    sys.stderr.write(f"serving on http://{asked.host}:{asked.port}\n")
    server = uvicorn.Server(uvicorn.Config(application, **options(asked.host, asked.port)))
    try:
        server.run()
    except KeyboardInterrupt:
        if not server.started:
            raise
        # After a clean stop uvicorn raises again what it stopped for.
    return 0


def options(host: str, port: int) -> dict[str, Any]:
    """Give uvicorn's options for this site."""
    return {
        "host": host,
        "port": port,
        "http": partial(ZeroCopy, kept={}),
        "loop": "uvloop",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "log_level": "warning",
        "timeout_graceful_shutdown": 5,
    }


def parser() -> argparse.ArgumentParser:
    """Make the command line's parser."""
    made = argparse.ArgumentParser(prog="python -m worker.hosts.local", description=__doc__)
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=_port, default=8788)
    made.add_argument("--data", type=Path, default=Path("build/worker"), help="where the database is kept")
    made.add_argument("--releases", type=Path, help="a folder as the bucket (default: DATA/bucket)")
    made.add_argument("--s3", help="an S3 endpoint instead; keys from R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY")
    made.add_argument("--bucket", default="api-for-composer-releases")
    made.add_argument("--vars", type=Path, default=Path("worker/.dev.vars"), help="settings, NAME=value")
    return made


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65_535:  # uvloop would take another port for a higher one
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")


def _database(folder: Path) -> Sqlite:
    folder.mkdir(parents=True, exist_ok=True)
    database = Sqlite(folder / "site.sqlite")
    database.migrate()
    return database


def _store(asked: argparse.Namespace) -> ObjectStore:
    if not asked.s3:
        return Folder((asked.releases or asked.data / "bucket").resolve())
    from worker.hosts.local.s3 import S3

    access, secret = os.environ.get("R2_ACCESS_KEY_ID", ""), os.environ.get("R2_SECRET_ACCESS_KEY", "")
    return S3(asked.s3, asked.bucket, access, secret)


def with_lifespan(app: ASGIApp, *closing: Callable[[], Awaitable[None] | None]) -> ASGIApp:
    """Close what was opened when the server ends."""

    async def serving(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for close in closing:
            if (waiting := close()) is not None:
                await waiting
        await send({"type": "lifespan.shutdown.complete"})

    return serving
