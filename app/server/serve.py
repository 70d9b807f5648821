"""Listen, say where, and serve until told to stop.

The bridge is started before the server's modules are read: both take half a second, on cores of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from socket import socket
from types import FrameType
from typing import TYPE_CHECKING

from app import instance
from app.account import open_keys
from app.cursor.client import Bridge
from app.errors import AppError
from app.keys import Keys
from app.preferences import FILE as PREFERENCES
from app.preferences import File, Loaded
from app.server.listening import Address, listen
from app.server.logs import logging_to, warn_on_stderr
from app.settings import Settings
from app.version import NAME, version

if TYPE_CHECKING:
    from app.server.serving import Server

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
        stop = stack.enter_context(_stopping())
        if wanted not in (0, address.port):
            _say(f"Port {wanted} is busy; using {address.port} instead.")

        def make() -> Server:
            from app.server import serving

            server, state = serving.make(settings, address, bridge, keys, file, linked=linked)
            state.problems = loaded.problems
            with _at_any_rate():
                place.publish(address.url, state.token)
            _say(f"{NAME} {version()} on {address.url}/v1")
            return server

        runner = stack.enter_context(asyncio.Runner(loop_factory=_loop))
        started = runner.run(_serve(bridge, make, listener, stop))
    if not started:
        raise AppError("the server did not start")


async def _serve(bridge: Bridge, make: Callable[[], Server], listener: socket, stop: Stop) -> bool:
    """Serve until told to stop; gives whether it came to that."""
    await bridge.start()
    try:
        await asyncio.to_thread(_read_modules)
        server = stop.ends(make())
        await server.serve(sockets=[listener])
        return server.started
    finally:
        await bridge.stop()


def _read_modules() -> None:
    """Read what the server is made of; as in app/__main__.py, nothing of it is garbage, now or later."""
    gc.disable()
    import_module("app.server.serving")
    gc.freeze()
    gc.enable()


def _loop() -> asyncio.AbstractEventLoop:
    """Make uvloop's event loop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


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


@dataclass(slots=True)
class Stop:
    """Whether a signal has said to stop, also before there is a server to be told."""

    asked: bool = False
    server: Server | None = None

    def ends(self, server: Server) -> Server:
        """Let it end this server."""
        self.server = server
        server.should_exit = self.asked
        return server

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.asked = True
        if self.server is not None:
            self.server.should_exit = True


@contextlib.contextmanager
def _stopping() -> Iterator[Stop]:
    """Stop for a signal that comes before uvicorn listens to them, and for nothing after its end.

    uvicorn raises again what it got, once it has stopped cleanly: that stop was the answer.
    """
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    logging.getLogger("app").info("%s", line)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
