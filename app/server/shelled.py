"""What the Mac's shell gets of the server (app/shell/link.py says how)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from app.cursor.client import Bridge, RunFailed
from app.server import health
from app.server.state import State
from app.shell import link
from app.shell.linked import Served, linked
from app.shell.native import NativeShell


def attach(state: State) -> AbstractAsyncContextManager[None]:
    """Give the pages their Shell, and the block in which it is linked."""
    shell = NativeShell()
    state.shell = shell
    return linked(shell, served(state))


def served(state: State) -> Served:
    """Give what the shell may have."""

    def how() -> link.Health:
        return link.Health(health.status(state.bridge, state.keys.held), state.bridge.problem)

    def page(place: str) -> str:
        from app.web import access  # the pages are loaded when they are first asked for

        return access.link(state.settings.data_dir, state.address.url, place)

    async def woke() -> None:
        await freshen(state.bridge)

    return Served(state.address.url, how, page, woke)


async def freshen(bridge: Bridge) -> None:
    """Replace a bridge that does not answer, or has nothing to lose: its connections may be dead."""
    try:
        status = await bridge.status()
    except (RunFailed, TimeoutError):
        await bridge.restart()
        return
    if not status.running and not status.parked:
        await bridge.restart()
