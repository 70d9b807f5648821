"""What the server runs with. Read once from the environment; nothing is read from the working directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.errors import AppError
from app.version import NAME, resources

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8787
RUN_TIMEOUT_MS = 180_000
PARK_MS = 600_000

SandboxMode = Literal["auto", "off", "on"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the server needs to know before it starts.

    `key` is the Cursor API key or None; `backend_url` replaces Cursor's own (for a stand-in); `bridge_js` and
    `runtime` override what is found; `park_ms` is how long a run waits for a
    client's tools; `origins` are web origins allowed besides the server's own; `sandbox` says if the bridge
    gets a second wall (app/cursor/sandbox.py), "auto" where it is known to work; `authorities` is a PEM file
    of certificate authorities to trust besides the usual ones.
    """

    data_dir: Path
    key: str | None = None
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

    def __repr__(self) -> str:
        return f"Settings(data_dir={self.data_dir}, key={'set' if self.key else 'not set'})"


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; AppError names a variable that cannot be used."""
    return Settings(
        data_dir=_path(environ, "API_FOR_CURSOR_DATA_DIR") or default_data_dir(environ),
        key=environ.get("CURSOR_API_KEY", "").strip() or None,
        backend_url=environ.get("CURSOR_BACKEND_URL") or None,
        bridge_js=_path(environ, "CURSOR_SDK_BRIDGE_JS"),
        runtime=_path(environ, "CURSOR_SDK_BRIDGE_RUNTIME"),
        run_timeout_ms=_positive(environ, "CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS", RUN_TIMEOUT_MS),
        park_ms=_positive(environ, "CURSOR_SDK_BRIDGE_PARK_MS", PARK_MS),
        sandbox=_sandbox(environ),
        authorities=_path(environ, "NODE_EXTRA_CA_CERTS"),
        origins=tuple(environ.get("API_FOR_CURSOR_ORIGINS", "").split()),
        resource_dir=resources(environ),
        responses_tools=_switch(environ, "API_FOR_CURSOR_RESPONSES_TOOLS"),
    )


def default_data_dir(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Give the folder the platform keeps an app's data in: Application Support, or XDG_DATA_HOME."""
    home = Path(environ.get("HOME") or Path.home())
    if platform == "darwin":
        return home / "Library" / "Application Support" / NAME
    base = environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".local" / "share") / "api-for-cursor"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    if not value:
        return None
    path = Path(value)
    if not path.is_absolute():
        raise AppError(f"{name} is {value!r}", cure="give an absolute path")
    return path


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
        raise AppError(f"{name} is {value!r}", cure="give 1 or 0")
    return value in ("1", "true", "yes", "on")


def _sandbox(environ: Mapping[str, str]) -> SandboxMode:
    value = environ.get("CURSOR_SDK_BRIDGE_SANDBOX") or "auto"
    modes: dict[str, SandboxMode] = {"auto": "auto", "off": "off", "on": "on"}
    if value not in modes:
        raise AppError(f"CURSOR_SDK_BRIDGE_SANDBOX is {value!r}", cure="say auto, on or off")
    return modes[value]


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name)
    if not value:
        return default
    if not value.isdecimal() or int(value) < 1:
        raise AppError(f"{name} is {value!r}", cure="give a positive whole number")
    return int(value)
