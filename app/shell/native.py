"""The server's end of the link: what the pages ask of the Mac goes out, what the shell says comes in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import get_args

from app.errors import AppError
from app.shell import link
from app.shell.link import LoginItem, Question

PATIENCE = 5.0  # seconds for an answer; a page may wait for it


class NativeShell:
    """A Shell over the link. Until `attached`, and after the shell is gone, it refuses."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[link.Answer]] = {}

    async def check_for_updates(self) -> None:
        """Have Sparkle look for an update now and show what it finds."""
        await self._ask("check_for_updates")

    async def set_automatic_updates(self, on: bool) -> None:
        """Have Sparkle look for updates now and then, or only when asked."""
        await self._ask("set_automatic_updates", on)

    async def login_item(self) -> LoginItem:
        """Say if the app starts at login."""
        return _login_item(await self._ask("login_item"))

    async def set_login_item(self, on: bool) -> LoginItem:
        """Have the app start at login or not."""
        return _login_item(await self._ask("set_login_item", on))

    async def set_menu_bar_only(self, on: bool) -> None:
        """Leave the Dock, or come back to it."""
        await self._ask("set_menu_bar_only", on)

    async def open_folder(self, path: str) -> None:
        """Show a folder in the Finder."""
        await self._ask("open_folder", path)

    def tell(self, message: link.FromServer) -> None:
        """Send a message; without a shell it is dropped."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(link.encode(message))

    @contextlib.asynccontextmanager
    async def attached(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """Ask over this stream for as long as the block lasts."""
        self._writer = writer
        try:
            yield
        finally:
            self._writer = None
            for number in self._waiting:
                self.take(link.Answer(number, error="the Mac app has ended"))

    def take(self, answer: link.Answer) -> None:
        """Hand an answer to the one who waits for it."""
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _ask(self, question: Question, value: bool | str | None = None) -> str | None:
        if self._writer is None:
            raise AppError("the Mac app's menu and window do not run", cure="open API for Cursor again")
        number = next(self._numbers)
        waiting: asyncio.Future[link.Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self.tell(link.Ask(number, question, value))
        try:
            answer = await asyncio.wait_for(waiting, PATIENCE)
        except TimeoutError:
            raise AppError("the Mac app did not answer", cure="try again, or open it again") from None
        finally:
            del self._waiting[number]
        if answer.error is not None:
            raise AppError(answer.error)
        return answer.value


def _login_item(value: str | None) -> LoginItem:
    for known in get_args(LoginItem):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise AppError("the Mac app gave an answer that is not understood", cure="update it")
