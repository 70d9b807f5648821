"""uvicorn around the application. To read this takes half the time of a start: app/server/serve.py."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn
from starlette.applications import Starlette

from app.cursor.client import Bridge
from app.keys import Keys
from app.preferences import File
from app.server.build import build
from app.server.listening import Address
from app.server.protocol import Patient
from app.server.state import State
from app.settings import Settings

GRACEFUL = 1.0  # seconds for answers under way when the server is told to stop; then their runs are ended
LAST_RESORT = 5  # seconds until even connections that do not end are dropped


def make(
    settings: Settings, address: Address, bridge: Bridge, keys: Keys, file: File | None, *, linked: bool
) -> tuple[Server, State]:
    """Make the server; `linked` says that the Mac's shell has started this process (app/shell/link.py)."""
    application = build(settings, address, bridge, keys=keys, file=file)
    state: State = application.state.server
    server = Server(_config(application), bridge, state.activity.leave)
    if linked:
        from app.server.shelled import attach

        server.around = attach(state)
    return server, state


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
