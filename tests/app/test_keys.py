"""The key while the app runs: entered, checked, replaced, removed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import keys as keys_module
from app.account import account
from app.cursor.client import RunFailed
from app.cursor.frames import Me
from app.errors import AppError
from app.keychain import FILE, Environment, Held, KeyFile
from app.keys import Account, Keys, NotAKey, Unchecked, WrongKey, clean, hint
from app.settings import Settings
from tests.app.bridges import running
from tests.app.conftest import ScriptedBridge
from tests.standins.cursor import CursorStandIn

KEY = "key_0123456789"
OTHER = "crsr_9876543210abcdef"
SOMEBODY = Account("a@example.com", "A B", "laptop")


async def somebodys(key: str) -> Account:
    return SOMEBODY


async def nobodys(key: str) -> Account:
    raise WrongKey("Cursor refuses this key")


async def offline(key: str) -> Account:
    raise Unchecked("Cursor could not be asked")


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / FILE)


@pytest.mark.parametrize(
    "text",
    [KEY, f"  {KEY} ", f"{KEY}\n", f"\r\n{KEY}\r\n", f'"{KEY}"', f"'{KEY}' ", f"`{KEY}`", f"\t“{KEY}”\n"],
)
def test_a_key_as_people_paste_it(text: str) -> None:
    assert clean(text) == KEY


@pytest.mark.parametrize(
    "text",
    ["", "   \n", '""', "short", "key_with a space", "key_one\nkey_two", "key_näher_dran", "key_\x00null_in",
     "https://cursor.com/dashboard", "k" * 513],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(NotAKey) as caught:
        clean(text)
    assert caught.value.cure is not None
    assert len(text.strip()) < 5 or text.strip() not in str(
        caught.value
    )  # it may be a secret for something else


@given(st.text(max_size=600))
def test_a_clean_key_is_one_printable_word(text: str) -> None:
    try:
        key = clean(text)
    except NotAKey:
        return
    assert key.isascii()
    assert key.isprintable()
    assert len(key.split()) == 1
    assert clean(key) == key
    assert key in text


def test_only_the_end_of_a_key_is_shown() -> None:
    assert hint(KEY) == "…6789"
    assert hint(None) is None


@pytest.mark.anyio
async def test_entered_replaced_and_removed(file: KeyFile) -> None:
    keys = Keys(file, somebodys)
    assert (await keys.read()).state == "absent"
    assert (await keys.enter(f" {KEY}\n")).key == KEY
    assert keys.account == SOMEBODY
    assert file.read().key == KEY
    await keys.enter(OTHER)
    assert (await keys.current()).key == OTHER
    assert keys.seen == {KEY, OTHER}  # the log goes on masking the first
    await keys.remove()
    assert keys.held.state == "absent"
    assert keys.account is None
    assert not file.path.exists()


@pytest.mark.anyio
@pytest.mark.parametrize(("check", "error"), [(nobodys, WrongKey), (offline, Unchecked)])
async def test_a_key_that_cannot_be_checked_does_not_replace_a_good_one(
    file: KeyFile, check: Callable[[str], Awaitable[Account]], error: type[AppError]
) -> None:
    file.write(KEY)
    keys = Keys(file, check)
    await keys.read()
    with pytest.raises(error):
        await keys.enter(OTHER)
    assert (keys.held.key, file.read().key) == (KEY, KEY)
    with pytest.raises(error):
        await keys.test()
    await keys.enter(OTHER, check=False)  # the user says so
    assert (keys.held.key, keys.account) == (OTHER, None)


@pytest.mark.anyio
async def test_there_must_be_a_key_to_check(file: KeyFile) -> None:
    keys = Keys(file, somebodys)
    await keys.read()
    with pytest.raises(AppError, match="no key"):
        await keys.test()


@pytest.mark.anyio
async def test_the_environments_key_is_there_at_once_and_stays() -> None:
    keys = Keys(Environment(KEY), somebodys)
    assert keys.held.key == KEY
    assert (await keys.current()).key == KEY
    with pytest.raises(AppError, match="CURSOR_API_KEY"):
        await keys.enter(OTHER)
    assert keys.held.key == KEY


class Slow:
    """A vault whose user is thinking."""

    name = "the Keychain"

    def __init__(self) -> None:
        self.decided = threading.Event()

    def read(self) -> Held:
        assert self.decided.wait(20)
        return Held("present", KEY, self.name)

    unlock = read

    def write(self, key: str) -> None:
        raise AssertionError

    def remove(self) -> None:
        raise AssertionError


@pytest.mark.anyio
async def test_a_dialog_does_not_stall_the_loop_and_requests_wait_for_it() -> None:
    slow = Slow()
    keys = Keys(slow, somebodys)
    reading = asyncio.create_task(keys.read())
    asking = asyncio.create_task(keys.current())
    await asyncio.sleep(0.05)
    assert keys.held.state == "locked"  # nobody knows yet
    assert not asking.done()
    slow.decided.set()
    assert (await asking).key == KEY
    assert (await reading).key == KEY


@pytest.mark.anyio
async def test_a_keychain_that_never_answers_counts_as_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "PATIENCE", 0.05)
    slow = Slow()
    keys = Keys(slow, somebodys)
    reading = asyncio.create_task(keys.read())
    held = await keys.current()
    assert (held.state, held.warning) == ("locked", "the keychain has not answered yet")
    reading.cancel()
    slow.decided.set()


@pytest.mark.anyio
async def test_a_vault_that_breaks_when_it_is_read_counts_as_locked() -> None:
    class Broken(Slow):
        def read(self) -> Held:
            raise ImportError(KEY)

    keys = Keys(Broken(), somebodys)
    assert (await keys.read()).state == "locked"
    assert (await keys.current()).warning == "the key could not be read (ImportError)"


@pytest.mark.anyio
async def test_a_vault_that_breaks_says_so_to_the_caller(file: KeyFile) -> None:
    keys = Keys(Slow(), somebodys)
    with pytest.raises(AssertionError):
        await keys.enter(KEY)


class Bank(ScriptedBridge):
    """A bridge that knows whose a key is."""

    answer: Me | RunFailed = Me(1, "a@example.com", None, "laptop")

    async def me(self, key: str) -> Me:
        if isinstance(self.answer, RunFailed):
            raise self.answer
        return self.answer


@pytest.mark.anyio
async def test_cursor_is_asked_through_the_bridge(settings: Settings) -> None:
    bank = Bank(settings)
    assert await account(bank, KEY) == Account("a@example.com", None, "laptop")
    bank.answer = RunFailed("authentication", "no")
    with pytest.raises(WrongKey, match="Cursor refuses this key: copy it"):
        await account(bank, KEY)
    bank.answer = RunFailed("unavailable", f"no way to /home/me/secret with Bearer {OTHER}")
    with pytest.raises(Unchecked) as caught:
        await account(bank, KEY)
    assert OTHER not in str(caught.value)
    assert "/home" not in str(caught.value)


@pytest.mark.release
@pytest.mark.anyio
async def test_the_sdk_asks_cursor(either: Settings, cursor: CursorStandIn) -> None:
    async with running(either) as bridge:
        assert await account(bridge, KEY) == Account("a@example.com", None, "test key")
        with pytest.raises(WrongKey):
            await account(bridge, "key_that_is_bad")
        assert cursor.calls.count("GET /v1/me") == 2


@pytest.mark.release
@pytest.mark.anyio
async def test_cursor_cannot_be_reached(real: Settings, cursor: CursorStandIn) -> None:
    import dataclasses

    nowhere = dataclasses.replace(real, backend_url="http://127.0.0.1:1")
    async with running(nowhere) as bridge:
        with pytest.raises(Unchecked):
            await account(bridge, KEY)
