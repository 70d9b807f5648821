"""What could be wrong with the app on this machine, looked at one by one; each with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app import instance, updates
from app.account import open_keys
from app.cursor import sandbox
from app.cursor.client import Bridge
from app.cursor.runtime import Missing, Runtime, find
from app.errors import AppError
from app.files import write_private
from app.instance import Running
from app.keys import Unchecked, hint
from app.preferences import FILE, File, Loaded
from app.settings import Settings
from app.version import command, version

LEAST_SPACE = 200 * 1024 * 1024  # bytes free; logs and the bridge's folder need less
EARLIEST = 1_767_225_600  # 2026-01-01: no clock that is right shows a time before this was written
LATEST = EARLIEST + 30 * 366 * 86_400

Level = Literal["ok", "note", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. `cure` says what to do about it."""

    name: str
    level: Level
    said: str
    cure: str | None = None


async def examine(settings: Settings, *, offline: bool = False) -> AsyncIterator[Finding]:
    """Look at everything; gives each finding when it is there. `offline` asks neither Cursor nor the feed."""
    yield Finding("version", "ok", f"{version()}, Python {sys.version.split()[0]} on {sys.platform}")
    loaded, finding = preferences(settings)
    yield finding
    settings = settings.following(loaded.preferences)
    yield data_folder(settings.data_dir)
    yield clock(time.time())
    running = await asyncio.to_thread(instance.find, settings.data_dir)
    yield other(running)
    yield port(settings.port, running)
    found = await asyncio.to_thread(find, settings)
    yield runtime(found)
    yield walls(settings, found)
    bridge = Bridge(settings)
    try:
        yield await bridge_starts(bridge, found)
        yield await key(settings, bridge, offline=offline)
    finally:
        await bridge.stop()
    yield await feed(settings, loaded, offline=offline)


def preferences(settings: Settings) -> tuple[Loaded, Finding]:
    """Read the settings file."""
    if settings.config_dir is None:
        return Loaded(), Finding("settings", "skipped", "this server keeps none")
    path = settings.config_dir / FILE
    loaded = File(path).load()
    if loaded.problems:
        return loaded, Finding(
            "settings", "failed", "; ".join(loaded.problems), "mend the file, or remove it"
        )
    said = f"{path}" if loaded.stored else f"{path} is not there, so the defaults hold"
    return loaded, Finding("settings", "ok", said)


def data_folder(folder: Path) -> Finding:
    """Write something, and see how much room there is."""
    probe = folder / ".doctor"
    try:
        write_private(probe, b"x")
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except AppError as error:
        return Finding("data", "failed", error.what, error.cure)
    except OSError as error:
        return Finding("data", "failed", f"{folder}: {error.strerror}")
    if free < LEAST_SPACE:
        return Finding("data", "failed", f"{folder} has {free // 1_000_000} MB left", "make room on the disk")
    if folder.stat().st_mode & 0o077:
        return Finding("data", "note", f"others can look into {folder}", f"chmod 700 '{folder}'")
    return Finding("data", "ok", f"{folder}, {free // 1_000_000_000} GB free")


def clock(now: float) -> Finding:
    """See if the clock can be right; with a wrong one every certificate seems to be out of date."""
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if EARLIEST <= now <= LATEST:
        return Finding("clock", "ok", shown)
    return Finding("clock", "failed", f"it shows {shown}", "set it; no secure connection works with it")


def other(running: Running | None) -> Finding:
    """See if a server runs."""
    if running is None:
        return Finding("server", "note", "none runs", command("serve"))
    if running.health() is None:
        said = f"process {running.pid} runs, but does not answer at {running.url}"
        return Finding("server", "failed", said, "end that process and start it again")
    return Finding("server", "ok", f"runs at {running.url}/v1 (process {running.pid})")


def port(number: int, running: Running | None) -> Finding:
    """See if the port can be had."""
    if running is not None and running.port == number:
        return Finding("port", "ok", f"{number}, which the server has")
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            cure = "the next free of 20 is used instead; agents may have to be set up again"
            return Finding("port", "note", f"{number}: {(error.strerror or 'busy').lower()}", cure)
    return Finding("port", "ok", f"{number} is free")


def runtime(found: Runtime | Missing) -> Finding:
    """Tell what the bridge would run in."""
    if isinstance(found, Missing):
        return Finding("runtime", "failed", "; ".join(found.reasons), "install Bun, or Node 22.13 or later")
    return Finding("runtime", "ok", f"{found.kind} {found.version}, {found.origin}: {found.program}")


def walls(settings: Settings, found: Runtime | Missing) -> Finding:
    """See if the second wall stands."""
    if settings.sandbox == "off":
        return Finding("sandbox", "note", "off, by CURSOR_SDK_BRIDGE_SANDBOX")
    if isinstance(found, Missing):
        return Finding("sandbox", "skipped", "without a runtime there is nothing to shut in")
    state = settings.data_dir / "bridge"
    with contextlib.suppress(OSError):
        (state / "workspace").mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        wall = sandbox.find(settings.sandbox, found, state)
    except AppError as error:
        return Finding("sandbox", "failed", error.what, error.cure)
    if wall is not None:
        return Finding("sandbox", "ok", wall.name)
    cure = "install bubblewrap, and allow user namespaces" if sys.platform == "linux" else None
    return Finding("sandbox", "note", "none; the guard inside the bridge stands alone", cure)


async def bridge_starts(bridge: Bridge, found: Runtime | Missing) -> Finding:
    """Start the bridge, and let it run for what comes next."""
    if isinstance(found, Missing):
        return Finding("bridge", "skipped", "there is no runtime for it")
    began = time.perf_counter()
    await bridge.start()
    while bridge.state == "starting" and bridge.problem is None:
        await asyncio.sleep(0.02)  # its launch has a bound of its own
    if bridge.state == "ready":
        return Finding("bridge", "ok", f"ready after {time.perf_counter() - began:.1f} s")
    return Finding("bridge", "failed", bridge.problem or "it does not start", "its last words may say why")


async def key(settings: Settings, bridge: Bridge, *, offline: bool) -> Finding:
    """See if there is a key, and if Cursor knows it."""
    keys = open_keys(settings, bridge)
    held = await keys.read()
    if held.state == "locked":
        return Finding("key", "failed", f"locked in {held.source}", command("key unlock"))
    if held.key is None:
        return Finding("key", "failed", "there is none", command("key set"))
    said = f"{hint(held.key)} in {held.source}"
    if offline or bridge.state != "ready":
        return Finding("key", "ok", f"{said}, not checked")
    try:
        owner = await keys.test()
    except Unchecked as error:
        return Finding("key", "failed", f"{said}: {error.what}", "see if this machine reaches cursor.com")
    except AppError as error:
        return Finding("key", "failed", f"{said}: {error.what}", command("key set"))
    return Finding("key", "ok", f"{said}, of {owner.email or owner.name or 'a team'}")


async def feed(settings: Settings, loaded: Loaded, *, offline: bool) -> Finding:
    """See if there is an update."""
    if offline:
        return Finding("updates", "skipped", "offline")
    try:
        found = await asyncio.to_thread(updates.look, settings, channel=loaded.preferences.channel)
    except AppError as error:
        return Finding("updates", "failed", error.what, error.cure)
    if found.state == "newer":
        return Finding("updates", "note", found.said, found.url)
    return Finding("updates", "skipped" if found.state == "unknown" else "ok", found.said)
