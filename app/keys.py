"""The Cursor key while the app runs: entered, checked, replaced, removed, unlocked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from app.errors import AppError
from app.keychain import Environment, Held, Vault

SHORTEST, LONGEST = 8, 512  # characters
SHOWN = 4
log = logging.getLogger("app.keys")
PATIENCE = 10.0  # seconds for a keychain to answer without asking anybody
QUOTES = "\"'`“”‘’"
WHERE = "copy it from Cursor's dashboard, under Integrations"
DASHBOARD = "https://cursor.com/dashboard"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose a key is, as Cursor says."""

    email: str | None = None
    name: str | None = None
    key_name: str | None = None


class NotAKey(AppError):
    """What was entered cannot be a key."""


class WrongKey(AppError):
    """Cursor refuses the key."""


class Unchecked(AppError):
    """Cursor could not be asked; the key may be right."""


Check = Callable[[str], Awaitable[Account]]
"""Asks Cursor whose a key is. Raises WrongKey or Unchecked."""


def clean(text: str) -> str:
    """Take a key as people paste it: without spaces, line breaks and quotes around it. Raises NotAKey."""
    key = text.strip().strip(QUOTES).strip()
    if not key:
        raise NotAKey("nothing was entered", cure=WHERE)
    if not key.isascii() or not key.isprintable() or " " in key or "://" in key:
        raise NotAKey("that is no key: it has other characters than a key has", cure=WHERE)
    if not SHORTEST <= len(key) <= LONGEST:
        raise NotAKey(f"that is no key: it has {len(key)} characters", cure=WHERE)
    return key


def hint(key: str | None) -> str | None:
    """Give what may be shown of a key: its last four characters."""
    return None if key is None else f"…{key[-SHOWN:]}"


UNREAD = Held("locked", warning="the keychain has not answered yet")
"""What is held before the first answer."""


@dataclass(slots=True)
class Keys:
    """The key of this process, and the place where it is kept.

    `seen` has every key that was held, for the log to mask. A request takes the key that is held when it
    begins, so runs under way keep theirs. `account` is known after a check.
    """

    vault: Vault
    check: Check
    held: Held = UNREAD
    account: Account | None = None
    seen: set[str] = field(default_factory=set)
    _reading: asyncio.Task[Held] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        if isinstance(self.vault, Environment):
            self._hold(self.vault.read())  # nothing to wait for

    async def current(self) -> Held:
        """Give what is held, read if it never was; a keychain that does not answer is locked."""
        if self.held is UNREAD:
            self._reading = self._reading or asyncio.create_task(self.read())
            await asyncio.wait((self._reading,), timeout=PATIENCE)
        return self.held

    async def read(self) -> Held:
        """Read the key anew, without asking the user."""
        return await self._take(self.vault.read)

    async def unlock(self) -> Held:
        """Read the key, asking the user if need be."""
        return await self._take(self.vault.unlock)

    async def enter(self, text: str, *, check: bool = True) -> Held:
        """Keep the key in `text` after asking Cursor about it. Raises NotAKey, WrongKey, Unchecked, AppError.

        Without `check` it is kept as it is, for those who are offline.
        """
        key = clean(text)
        self.seen.add(key)
        account = await self.check(key) if check else None
        async with self._turn:
            await _apart(lambda: self.vault.write(key))
        held = await self.read()
        self.account = account
        return held

    async def remove(self) -> Held:
        """Forget the key. Raises AppError."""
        async with self._turn:
            await _apart(self.vault.remove)
        return await self.read()

    async def test(self) -> Account:
        """Ask Cursor about the key that is held. Raises WrongKey, Unchecked, AppError without one."""
        if self.held.key is None:
            raise AppError("there is no key to check", cure=WHERE)
        self.account = await self.check(self.held.key)
        return self.account

    async def _take(self, read: Callable[[], Held]) -> Held:
        async with self._turn:
            try:
                held = await _apart(read)
            except Exception as error:  # requests must not wait for what will not come
                log.exception("the key could not be read")
                held = Held("locked", warning=f"the key could not be read ({type(error).__name__})")
            self._hold(held)
        return self.held

    def _hold(self, held: Held) -> None:
        if held.key is not None:
            self.seen.add(held.key)
        if held.key != self.held.key:
            self.account = None
        self.held = held


T = TypeVar("T")


async def _apart(work: Callable[[], T]) -> T:
    """Do `work` in a thread that nobody waits for at the end: it may be stuck behind a dialog."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="keychain", daemon=True).start()
    return await future
