"""The bridge by itself: `python -m app bridge` becomes the bridge's process, which listens on a port.

For those who reach it over HTTP with a token (app/bridge/src/http.mjs) instead of being its parent.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from app.cursor import process, sandbox
from app.cursor.runtime import Missing, find
from app.errors import AppError
from app.files import write_private
from app.settings import Settings, from_environment, whole

HOST = "127.0.0.1"
PORT = 8792
SHORTEST_TOKEN = 16
TOKEN_FILE = "bridge.token"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True)
class Plan:
    """A process to become: `argv`, `environment`, in the folder `cwd`."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: Path
    url: str


def plan(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Work out the process from CURSOR_SDK_BRIDGE_{HOST,PORT,TOKEN,RUN_TIMEOUT_MS}. Raises AppError."""
    host = environ.get("CURSOR_SDK_BRIDGE_HOST") or HOST
    port = _port(environ.get("CURSOR_SDK_BRIDGE_PORT"))
    try:
        state = process.prepare_state(settings.data_dir)
    except process.LaunchError as error:
        raise AppError(str(error)) from None
    found = find(settings)
    if isinstance(found, Missing):
        raise AppError("; ".join(found.reasons))
    walls = sandbox.find(settings.sandbox, found, state)
    environment = process.base_environment(settings, state=state) | {
        "CURSOR_SDK_BRIDGE_HOST": host,
        "CURSOR_SDK_BRIDGE_PORT": str(port),
        "CURSOR_SDK_BRIDGE_TOKEN": _token(environ, settings.data_dir / TOKEN_FILE, host),
        "CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS": str(settings.run_timeout_ms),
    }
    argv = process.command(found, settings, walls, state=state)
    return Plan(argv, environment, state / "workspace", f"http://{host}:{port}")


def run() -> NoReturn:
    """Become the bridge. Raises AppError."""
    planned = plan(from_environment(), os.environ)
    sys.stderr.write(f"bridge: {planned.url}\n")
    sys.stderr.flush()
    os.chdir(planned.cwd)
    try:
        os.execve(planned.argv[0], planned.argv, planned.environment)  # noqa: S606 - it gets signals itself
    except OSError as error:
        raise AppError(f"{planned.argv[0]} does not start: {error.strerror}") from error


def _port(text: str | None) -> int:
    if not text:
        return PORT
    number = whole(text)
    if number is None or number > 65_535:
        raise AppError(f"CURSOR_SDK_BRIDGE_PORT is {text!r}", cure="give a number from 0 to 65535")
    return number


def _token(environ: Mapping[str, str], path: Path, host: str) -> str:
    """Take the token that was given, or make one and leave it in a file that only this user can read."""
    given = environ.get("CURSOR_SDK_BRIDGE_TOKEN", "")
    if len(given) >= SHORTEST_TOKEN:
        return given
    if given:
        cure = f"give at least {SHORTEST_TOKEN} characters"
        raise AppError("CURSOR_SDK_BRIDGE_TOKEN is too short", cure=cure)
    if host != HOST:
        raise AppError(f"CURSOR_SDK_BRIDGE_HOST is {host}", cure="set CURSOR_SDK_BRIDGE_TOKEN too")
    token = secrets.token_urlsafe(32)
    write_private(path, token.encode())
    sys.stderr.write(f"token: in {path}\n")
    return token
