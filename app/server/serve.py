"""Listen, say where, and serve until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from app import instance
from app.account import open_keys
from app.cursor.client import Bridge
from app.errors import AppError
from app.keys import Keys
from app.preferences import FILE as PREFERENCES
from app.preferences import File, Loaded
from app.server.build import build
from app.server.listening import Address, listen
from app.server.logs import logging_to, warn_on_stderr
from app.server.protocol import Patient
from app.server.state import State
from app.settings import Settings
from app.version import NAME, version

GRACEFUL = 1.0  # seconds for answers under way when the server is told to stop; then their runs are ended
LAST_RESORT = 5  # seconds until even connections that do not end are dropped

log = logging.getLogger("app.server")


def run(settings: Settings, *, host: str, port: int | None, linked: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; the bridge is ended before this returns.

    `port` is one that was asked for on the command line; else it is the settings'. `linked` says that the
    Mac's shell has started this process (app/shell/link.py). Raises AppError.
    """
    file = File(settings.config_dir / PREFERENCES) if settings.config_dir else None
    loaded = file.load() if file else Loaded()
    settings = settings.following(loaded.preferences)
    bridge = Bridge(settings)
    keys = open_keys(settings, bridge)
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(instance.claim(settings.data_dir, asked=port))
        wanted = settings.port if port is None else port
        listener = stack.enter_context(contextlib.closing(listen(host, wanted)))
        address = Address(host, listener.getsockname()[1])
        stack.enter_context(_logging(settings, keys, loaded))
        application = build(settings, address, bridge, keys=keys, file=file)
        state: State = application.state.server
        state.problems = loaded.problems
        server = Server(_config(application), bridge, state.activity.leave)
        if linked:
            from app.server.shelled import attach

            server.around = attach(state)
        stack.enter_context(_stopping(server))
        with _at_any_rate():
            place.publish(address.url, state.token)
        if wanted not in (0, address.port):
            _say(f"Port {wanted} is busy; using {address.port} instead.")
        _say(f"{NAME} {version()} on {address.url}/v1")
        gc.freeze()  # no later search for garbage goes through what has been read and made
        server.run(sockets=[listener])
    if not server.started:
        raise AppError("the server did not start")


@contextlib.contextmanager
def _at_any_rate() -> Iterator[None]:
    """Serve even if the block fails, as on a full disk: requests can be answered all the same."""
    try:
        yield
    except AppError as error:
        log.warning("%s", error)


@contextlib.contextmanager
def _logging(settings: Settings, keys: Keys, loaded: Loaded) -> Iterator[None]:
    warn_on_stderr()
    folder, level, kept = settings.data_dir / "logs", settings.log_level, settings.keep_logs
    with logging_to(folder, hidden=keys.seen, level=level, kept=kept):
        for problem in loaded.problems:
            log.warning("%s", problem)
        yield


class Server(uvicorn.Server):
    """Ends the runs of answers under way before their connections: clients are told, and nothing hangs."""

    def __init__(self, config: uvicorn.Config, bridge: Bridge, leave: Callable[[], None]) -> None:
        """Serve; `leave` lets those go who only watch."""
        super().__init__(config)
        self.bridge = bridge
        self.around: AbstractAsyncContextManager[None] = contextlib.nullcontext()
        self.leave = leave

    async def main_loop(self) -> None:
        """Serve until told to stop, inside `around`."""
        async with self.around:
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self.leave()
        hanging_up = asyncio.create_task(self._hang_up())
        try:
            await super().shutdown(sockets)
        finally:
            hanging_up.cancel()

    async def _hang_up(self) -> None:
        await asyncio.sleep(GRACEFUL)
        await self.bridge.stop()


def _config(application: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        http=Patient,
        ws="none",
        proxy_headers=False,  # nobody stands between a client and this server
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=LAST_RESORT,
        timeout_keep_alive=75,
    )


@contextlib.contextmanager
def _stopping(server: Server) -> Iterator[None]:
    """Stop `server` for a signal that comes before uvicorn listens to them, and for nothing after its end.

    uvicorn raises again what it got, once it has stopped cleanly: that stop was the answer.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    logging.getLogger("app").info("%s", line)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
