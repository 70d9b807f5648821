"""The user's preferences, and where the log is."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from app.errors import AppError
from app.preferences import AFTER_RESTART, LogLevel, Preferences, check
from app.preferences import FILE as PREFERENCES
from app.server.logs import FILE as LOG
from app.server.state import State, state_of
from app.settings import VARIABLES
from app.shell.link import LoginItem
from app.web.forms import form
from app.web.log import entries, tail
from app.web.render import page, said
from app.web.words import sentence

LEVELS = {
    "debug": "Everything, for finding a fault",
    "info": "Requests and what matters (usual)",
    "warning": "Warnings and errors",
    "error": "Errors only",
}
LABELS = {"port": "port", "keep_logs": "number of older log files"}
RANGES = {"port": range(1, 65_536), "keep_logs": range(101)}
STARTS = ("on", "needs approval")  # the user may also have said so in System Settings
log = logging.getLogger("app.web")


async def show(request: Request) -> Response:
    """Answer GET /app/settings."""
    return await settings_page(request)


async def settings_page(
    request: Request, status: int = 200, *, fields: dict[str, Any] | None = None, error: str = ""
) -> Response:
    """Render the preferences, or `fields` as they were entered."""
    state = state_of(request)
    loaded, login = state.preferences(), await login_item(state)
    folder = state.settings.data_dir / "logs"
    lines = await asyncio.to_thread(tail, folder / LOG)
    return page(
        request,
        "settings",
        status,
        fields=fields or _fields(loaded.preferences) | {"launch_at_login": login in STARTS},
        forced={name: VARIABLES[name] for name in state.settings.forced if name in VARIABLES},
        problems=dict.fromkeys((*state.problems, *loaded.problems)),
        restart=_waiting(state, loaded.preferences),
        mac=state.shell is not None,
        login=login,
        levels=LEVELS.items(),
        settings_file=state.file.path if state.file else f"{PREFERENCES}: kept by no file",
        log_file=folder / LOG,
        lines=lines,
        entries=entries(reversed(lines)),
        error=error,
    )


async def save(request: Request) -> Response:
    """Answer POST /app/settings."""
    state, fields = state_of(request), await form(request)
    entered = {**fields, **{name: name in fields for name in _switches(state)}}
    try:
        changes = _changes(state, fields)
        check(changes)  # before anything is changed anywhere
        await _tell_mac(state, changes)
        state.change(**changes)
    except AppError as error:
        shown = _fields(state.preferences().preferences) | entered
        return await settings_page(request, 422, fields=shown, error=sentence(error))
    return said("/app/settings", "settings")


async def open_folder(request: Request) -> Response:
    """Answer POST /app/settings/folder: show the log in the Finder."""
    await form(request)
    state = state_of(request)
    try:
        if state.shell is None:
            raise AppError("folders are shown by the Mac app only")
        await state.shell.open_folder(str(state.settings.data_dir / "logs"))
    except AppError as error:
        return await settings_page(request, 409, error=sentence(error))
    return said("/app/settings", "finder")


async def login_item(state: State) -> LoginItem | None:
    """Ask the Mac if the app starts at login; None where there is none to ask."""
    if state.shell is None:
        return None
    try:
        return await state.shell.login_item()
    except AppError as error:
        log.warning("the login item's state is unknown: %s", error)
        return "not available"


def _fields(preferences: Preferences) -> dict[str, Any]:
    names = ("port", "launch_at_login", "menu_bar_only", "responses_tools", "log_level", "keep_logs")
    return {name: getattr(preferences, name) for name in names} | {"origins": "\n".join(preferences.origins)}


def _switches(state: State) -> tuple[str, ...]:
    return ("responses_tools", *(("launch_at_login", "menu_bar_only") if state.shell else ()))


def _changes(state: State, fields: dict[str, str]) -> dict[str, Any]:
    """Read a form; what the environment decides is disabled in it, and stays as it is. Raises AppError."""
    changes: dict[str, Any] = {name: name in fields for name in _switches(state)}
    changes |= {name: _number(name, fields[name]) for name in ("port", "keep_logs") if name in fields}
    if "origins" in fields:
        changes["origins"] = fields["origins"].split()
    if fields.get("log_level") in get_args(LogLevel):
        changes["log_level"] = fields["log_level"]
    return {name: value for name, value in changes.items() if name not in state.settings.forced}


def _number(name: str, text: str) -> int:
    numbers = RANGES[name]
    number = int(text) if text.strip().isdecimal() and len(text) < 10 else -1
    if number not in numbers:
        cure = f"enter a number from {numbers[0]} to {numbers[-1]}"
        raise AppError(f"the {LABELS[name]} cannot be {text[:20]!r}", cure=cure)
    return number


async def _tell_mac(state: State, changes: dict[str, Any]) -> None:
    if state.shell is None:
        return
    before = state.preferences().preferences
    if changes["menu_bar_only"] != before.menu_bar_only:
        await state.shell.set_menu_bar_only(changes["menu_bar_only"])
    if changes["launch_at_login"] != (await login_item(state) in STARTS):
        await state.shell.set_login_item(changes["launch_at_login"])


def _waiting(state: State, preferences: Preferences) -> str:
    """Name what was changed but counts only after the next start."""
    now = state.started_with
    free = sorted(AFTER_RESTART - state.settings.forced)
    changed = [LABELS[name] for name in free if getattr(preferences, name) != getattr(now, name)]
    return " and ".join(changed)
