"""`python -m app key`: enter, check, show, unlock and remove the Cursor key. It is never an argument."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from app import instance
from app.errors import AppError
from app.keychain import VARIABLE
from app.keys import WHERE, Account, Keys, Unchecked, hint
from app.settings import Settings, from_environment
from app.version import command

LONGEST_INPUT = 10_000  # characters; what is longer is some other file


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("key", help="enter, show or remove your Cursor API key")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    enter = actions.add_parser("set", help="read a key from the terminal or standard input, and keep it")
    enter.add_argument("--no-check", action="store_true", help="keep it without asking Cursor about it")
    status = actions.add_parser("status", help="say if there is a key, and where it is kept")
    status.add_argument("--check", action="store_true", help="ask Cursor if it is good")
    status.add_argument("--json", action="store_true", help="for programs")
    actions.add_parser("unlock", help="let the system's keychain ask for its password")
    actions.add_parser("remove", help="forget the key")
    for action in actions.choices.values():
        action.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit status. Raises AppError."""
    settings = from_environment()
    match arguments.action:
        case "set":
            return _set(settings, check=not arguments.no_check)
        case "status":
            return asyncio.run(_status(settings, check=arguments.check, as_json=arguments.json))
        case "unlock":
            return asyncio.run(_unlock(settings))
        case _:
            return asyncio.run(_remove(settings))


def _set(settings: Settings, *, check: bool) -> int:
    if settings.key is not None:
        raise AppError(f"{VARIABLE} is set, and goes before any other key", cure="unset it first")
    text = _read()
    try:
        keys = asyncio.run(_enter(settings, text, check=check))
    except Unchecked as error:
        raise AppError(str(error), cure="try again later, or keep it as it is with --no-check") from None
    whose = f", {_owner(keys.account)}" if keys.account else ""
    _say(f"The key {hint(keys.held.key)} is kept in {keys.held.source}{whose}.")
    _warn(keys)
    _tell_server(settings)
    return 0


def _read() -> str:
    """Read a key without echo, or from what is piped in."""
    if sys.stdin.isatty():
        return getpass.getpass(f"Cursor API key ({WHERE}): ")
    text = sys.stdin.read(LONGEST_INPUT + 1)
    if len(text) > LONGEST_INPUT:
        raise AppError("that is no key: it is far too long", cure=WHERE)
    return text


async def _enter(settings: Settings, text: str, *, check: bool) -> Keys:
    async with _keys(settings, asking=check) as keys:
        await keys.enter(text, check=check)
        return keys


async def _status(settings: Settings, *, check: bool, as_json: bool) -> int:
    async with _keys(settings, asking=check) as keys:
        held = await keys.read()
        problem = await _problem(keys.test) if check and held.key is not None else None
    found: dict[str, str | bool | None] = {
        "state": held.state,
        "key": hint(held.key),
        "source": held.source,
        "warning": held.warning,
    }
    if check:
        found |= {"good": None if held.key is None else problem is None, "problem": problem}
    if as_json:
        _say(json.dumps(found, ensure_ascii=False))
    else:
        _say(_sentence(keys))
        _warn(keys)
        if check and held.key is not None:
            _say(problem or f"Cursor knows it: {_owner(keys.account)}.")
    return 0 if held.state == "present" and problem is None else 1


async def _problem(test: Callable[[], Awaitable[Account]]) -> str | None:
    try:
        await test()
    except AppError as error:
        return str(error)
    return None


def _sentence(keys: Keys) -> str:
    held = keys.held
    if held.state == "present":
        return f"The key {hint(held.key)} is kept in {held.source}."
    if held.state == "locked":
        return f"The key is locked in {held.source}: {command('key unlock')}"
    return f"There is no key in {held.source}: {command('key set')}"


async def _unlock(settings: Settings) -> int:
    async with _keys(settings) as keys:
        held = await keys.unlock()
    _say(_sentence(keys))
    _warn(keys)
    if held.state == "present":
        _tell_server(settings)
    return 0 if held.state == "present" else 1


async def _remove(settings: Settings) -> int:
    async with _keys(settings) as keys:
        await keys.remove()
    _say(f"There is no key in {keys.held.source} any more.")
    _tell_server(settings)
    return 0


@contextlib.asynccontextmanager
async def _keys(settings: Settings, *, asking: bool = False) -> AsyncIterator[Keys]:
    """Give the keys; with a bridge that runs only if Cursor is to be asked."""
    from app.account import open_keys
    from app.cursor.client import Bridge

    bridge = Bridge(settings)
    keys = open_keys(settings, bridge)
    if not asking:
        yield keys
        return
    await bridge.start()
    try:
        yield keys
    finally:
        await bridge.stop()


def _tell_server(settings: Settings) -> None:
    """Have a server that runs take up the change; requests under way keep the key they began with."""
    running = instance.find(settings.data_dir)
    if running is None:
        return
    status, _ = running.ask("POST", "/control/reload")
    if status != 200:
        sys.stderr.write(f"The server at {running.url} did not take it up: start it again.\n")


def _owner(account: Account | None) -> str:
    if account is None:
        return "of nobody known"
    name = f"named {account.key_name}" if account.key_name else "a team's"
    return f"of {account.email or account.name}, {name}" if account.email or account.name else name


def _warn(keys: Keys) -> None:
    if keys.held.warning:
        sys.stderr.write(f"Note: {keys.held.warning}.\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
