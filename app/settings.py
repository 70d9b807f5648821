"""What the server runs with: the environment's word first, then the user's preferences, then defaults.

Nothing is read from the working directory.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from app.errors import AppError
from app.keychain import Mode
from app.preferences import DEFAULT_PORT, LogLevel, Preferences, origin
from app.version import NAME, resources

DEFAULT_HOST = "127.0.0.1"
RUN_TIMEOUT_MS = 180_000
PARK_MS = 600_000
LONGEST_NUMBER = 15  # digits

SandboxMode = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the server needs to know before it starts.

    `key` is the environment's Cursor API key or None; `backend_url` replaces Cursor's own (for a stand-in);
    `bridge_js` and `runtime` override what is found; `park_ms` is how long a run waits for a
    client's tools; `origins` are web origins allowed besides the server's own; `sandbox` says if the bridge
    gets a second wall (app/cursor/sandbox.py), "auto" where it is known to work; `authorities` is a PEM file
    of certificate authorities to trust besides the usual ones; `keychain` "file" keeps keys out of the
    system's; `feed` is where updates are announced and `feed_key` the key (base64) that it is signed with.
    `forced` names the preferences that the environment decides.
    """

    data_dir: Path
    config_dir: Path | None = None
    key: str | None = None
    keychain: Mode = "auto"
    port: int = DEFAULT_PORT
    backend_url: str | None = None
    bridge_js: Path | None = None
    runtime: Path | None = None
    run_timeout_ms: int = RUN_TIMEOUT_MS
    park_ms: int = PARK_MS
    sandbox: SandboxMode = "auto"
    authorities: Path | None = None
    origins: tuple[str, ...] = ()
    resource_dir: Path | None = None
    responses_tools: bool = False
    log_level: LogLevel = "info"
    keep_logs: int = 5
    feed: str | None = None
    feed_key: str | None = None
    forced: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Settings(data_dir={self.data_dir}, key={'set' if self.key else 'not set'})"

    def following(self, preferences: Preferences) -> Settings:
        """Give these settings with the user's preferences, but for what the environment decides."""
        chosen = {name: getattr(preferences, name) for name in PREFERRED if name not in self.forced}
        return dataclasses.replace(self, **chosen)


PREFERRED = frozenset({"port", "origins", "responses_tools", "log_level", "keep_logs"})
"""The preferences that the server runs with; the others concern the app around it."""
VARIABLES = {
    "port": "API_FOR_CURSOR_PORT",
    "origins": "API_FOR_CURSOR_ORIGINS",
    "responses_tools": "API_FOR_CURSOR_RESPONSES_TOOLS",
    "log_level": "API_FOR_CURSOR_LOG_LEVEL",
}
"""The variable that decides a preference where it is set."""


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; AppError names a variable that cannot be used."""
    config_dir = _path(environ, "API_FOR_CURSOR_CONFIG_DIR") or default_config_dir(environ)
    return Settings(
        data_dir=_path(environ, "API_FOR_CURSOR_DATA_DIR") or default_data_dir(environ),
        config_dir=config_dir,
        key=environ.get("CURSOR_API_KEY", "").strip() or None,
        keychain=_one_of(environ, "API_FOR_CURSOR_KEYCHAIN", get_args(Mode)),
        port=_number(environ, VARIABLES["port"], DEFAULT_PORT, most=65_535),
        backend_url=environ.get("CURSOR_BACKEND_URL") or None,
        bridge_js=_path(environ, "CURSOR_SDK_BRIDGE_JS"),
        runtime=_path(environ, "CURSOR_SDK_BRIDGE_RUNTIME"),
        run_timeout_ms=_number(environ, "CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS", RUN_TIMEOUT_MS),
        park_ms=_number(environ, "CURSOR_SDK_BRIDGE_PARK_MS", PARK_MS),
        sandbox=_one_of(environ, "CURSOR_SDK_BRIDGE_SANDBOX", get_args(SandboxMode)),
        authorities=_path(environ, "NODE_EXTRA_CA_CERTS"),
        origins=_origins(environ),
        resource_dir=resources(environ),
        responses_tools=_switch(environ, VARIABLES["responses_tools"]),
        log_level=_one_of(environ, VARIABLES["log_level"], ("info", *get_args(LogLevel))),
        feed=environ.get("API_FOR_CURSOR_FEED") or None,
        feed_key=environ.get("API_FOR_CURSOR_FEED_KEY") or None,
        forced=frozenset(name for name, variable in VARIABLES.items() if environ.get(variable)),
    )


def default_config_dir(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Give the folder the platform keeps an app's settings in: Application Support, or XDG_CONFIG_HOME."""
    return _own_folder(environ, platform, "XDG_CONFIG_HOME", ".config")


def default_data_dir(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Give the folder the platform keeps an app's data in: Application Support, or XDG_DATA_HOME."""
    return _own_folder(environ, platform, "XDG_DATA_HOME", ".local/share")


def _own_folder(environ: Mapping[str, str], platform: str, variable: str, usual: str) -> Path:
    """Answer as platformdirs does (a test compares), which takes as long to import as the rest of this."""
    home = Path(environ.get("HOME") or Path.home())
    if platform == "darwin":
        return home / "Library" / "Application Support" / NAME
    base = environ.get(variable, "")
    return (Path(base) if base.startswith("/") else home / usual) / "api-for-cursor"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    if not value:
        return None
    path = Path(value)
    if not path.is_absolute():
        raise AppError(f"{name} is {value!r}", cure="give an absolute path")
    return path


def _origins(environ: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return tuple(origin(one) for one in environ.get(VARIABLES["origins"], "").split())
    except ValueError as error:
        raise AppError(VARIABLES["origins"], cure=str(error)) from None


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
        raise AppError(f"{name} is {value!r}", cure="give 1 or 0")
    return value in ("1", "true", "yes", "on")


Choice = TypeVar("Choice", bound=str)


def _one_of(environ: Mapping[str, str], name: str, choices: Sequence[Choice]) -> Choice:
    """Read a word out of `choices`, the first of which is the default."""
    value = environ.get(name) or choices[0]
    found = next((choice for choice in choices if choice == value), None)
    if found is None:
        *others, last = dict.fromkeys(choices)
        raise AppError(f"{name} is {value!r}", cure=f"say {', '.join(others)} or {last}")
    return found


def _number(environ: Mapping[str, str], name: str, default: int, *, most: int | None = None) -> int:
    value = environ.get(name)
    if not value:
        return default
    number = whole(value)
    if not number or (most is not None and number > most):
        wanted = "a positive whole number" if most is None else f"a whole number from 1 to {most}"
        raise AppError(f"{name} is {value!r}", cure=f"give {wanted}")
    return number


def whole(text: str) -> int | None:
    """Read a whole number of a sensible length; None if it is none. Python reads no more than 4300 digits."""
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else None
