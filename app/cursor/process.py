"""Start and end the bridge's process, in an environment that holds nothing of the user's.

The app listens on a Unix socket in a folder only this user can enter; the bridge connects back and gives the
token it was started with. Then the socket's path is gone: nobody else can ever connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from app.cursor import frames
from app.cursor.runtime import Runtime
from app.cursor.sandbox import Sandbox
from app.settings import Settings

READY_TIMEOUT = 20.0  # seconds; a cold start on a slow disk takes two
END_TIMEOUT = 1.0  # seconds between SIGTERM and SIGKILL
STREAM_LIMIT = 1 << 20
SOCKET_PATH_LIMIT = 100  # bytes; macOS allows 103
LAST_WORDS = 10  # lines of stderr kept
LONGEST_LINE = 300  # Node quotes the source line, and the bridge has lines of a megabyte
RECORD = '{"log":'  # how app/bridge/src/log.mjs begins a line

log = logging.getLogger("app.bridge")


class LaunchError(Exception):
    """The bridge did not come up; says why."""


@dataclass(slots=True)
class Link:
    """A running bridge and the stream to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ready: frames.Ready
    stderr: _Tail


@dataclass(slots=True)
class _Tail:
    """Reads a pipe to its end and keeps the last lines."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_WORDS))
    task: asyncio.Task[None] | None = None

    def follow(self, stream: asyncio.StreamReader) -> None:
        self.task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[:LONGEST_LINE]
            for line in lines:
                self._take(line.decode("utf-8", "replace").strip())

    def _take(self, line: str) -> None:
        """Log the bridge's own records; keep the rest, which is for telling why a start failed."""
        if (record := _record(line)) is not None:
            log.info("bridge: %s", record.pop("log"), extra={"fields": record})
        elif 0 < len(line) < LONGEST_LINE:
            self.lines.append(line)


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith(RECORD):
        return None
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


async def launch(runtime: Runtime, settings: Settings, sandbox: Sandbox | None = None) -> Link:
    """Start the bridge and wait until it has connected and said that it is ready. Raises LaunchError."""
    state = prepare_state(settings.data_dir)
    token = secrets.token_urlsafe(32)
    async with _listening() as (path, connected):
        environment = clean_environment(settings, state=state, socket=path, token=token)
        argv = command(runtime, settings, sandbox, state=state, reachable=(path.parent,))
        process, tail = await _spawn(argv, environment, cwd=state / "workspace")
        try:
            reader, writer, ready = await _handshake(process, connected, token)
        except BaseException as error:
            await _kill(process)
            if isinstance(error, LaunchError):
                raise LaunchError("; ".join((str(error), *tail.lines))) from None
            raise
    return Link(process, reader, writer, ready, tail)


async def end(link: Link) -> None:
    """End the bridge: hang up, then SIGTERM, then after a second SIGKILL."""
    link.writer.close()
    await _kill(link.process)
    if link.stderr.task is not None:
        link.stderr.task.cancel()


def prepare_state(data_dir: Path) -> Path:
    """Make the folders the bridge may write to, readable by this user only; returns the bridge's home."""
    state = data_dir / "bridge"
    for folder in (data_dir, state, state / "workspace", state / "tmp"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"cannot make {folder}: {error.strerror}") from error
    return state


def clean_environment(settings: Settings, *, state: Path, socket: Path, token: str) -> dict[str, str]:
    """Give the bridge's whole environment. The Cursor key is not in it: it goes over the socket.

    PATH must be set, and to nothing: with a real one the SDK runs git.
    """
    return {
        **base_environment(settings, state=state),
        "CURSOR_SDK_BRIDGE_SOCKET": str(socket),
        "CURSOR_SDK_BRIDGE_TOKEN": token,
    }


def base_environment(settings: Settings, *, state: Path) -> dict[str, str]:
    """Give what every bridge's environment has."""
    environment = {
        "PATH": "/nonexistent",
        "HOME": str(state),
        "TMPDIR": str(state / "tmp"),
        "TZ": "UTC",
    }
    if settings.backend_url is not None:
        environment["CURSOR_BACKEND_URL"] = settings.backend_url
    if settings.authorities is not None:
        environment["NODE_EXTRA_CA_CERTS"] = str(settings.authorities)
    return environment


def command(
    runtime: Runtime,
    settings: Settings,
    sandbox: Sandbox | None,
    *,
    state: Path,
    reachable: Sequence[Path] = (),
) -> tuple[str, ...]:
    """Give the bridge's command line, with the sandbox around it if there is one."""
    if sandbox is None:
        return runtime.argv
    readable = [path for path in (settings.authorities,) if path is not None]
    return sandbox.argv(runtime, state=state, readable=readable, reachable=reachable)


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def _listening() -> AsyncIterator[tuple[Path, asyncio.Queue[_Streams]]]:
    connected: asyncio.Queue[_Streams] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.put_nowait((reader, writer))

    with tempfile.TemporaryDirectory(prefix="afc-", dir=_short_folder()) as folder:
        path = Path(folder) / "s"
        server = await asyncio.start_unix_server(accept, path, limit=STREAM_LIMIT)
        try:
            yield path, connected
        finally:
            server.close()


def _short_folder() -> str | None:
    return None if len(tempfile.gettempdir()) < SOCKET_PATH_LIMIT - 16 else "/tmp"  # noqa: S108 - mkdtemp's 0700


async def _spawn(
    argv: Sequence[str], environment: dict[str, str], *, cwd: Path
) -> tuple[asyncio.subprocess.Process, _Tail]:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the app, which then ends the bridge in order
        )
    except OSError as error:
        raise LaunchError(f"{argv[0]} does not start: {error.strerror}") from error
    tail = _Tail()
    assert process.stderr is not None
    tail.follow(process.stderr)
    return process, tail


async def _handshake(
    process: asyncio.subprocess.Process, connected: asyncio.Queue[_Streams], token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, frames.Ready]:
    greeting = asyncio.ensure_future(_greeting(connected, token))
    exited = asyncio.ensure_future(process.wait())
    try:
        done, _ = await asyncio.wait(
            (greeting, exited), timeout=READY_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
        )
        if greeting in done:
            return greeting.result()
        if exited in done:
            await asyncio.sleep(0.05)  # its last words may still be in the pipe
            raise LaunchError(f"the bridge ended with status {exited.result()} before it was ready")
        raise LaunchError(f"the bridge was not ready after {READY_TIMEOUT:g} s")
    finally:
        greeting.cancel()
        exited.cancel()


async def _greeting(
    connected: asyncio.Queue[_Streams], token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, frames.Ready]:
    while True:
        reader, writer = await connected.get()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            first = await frames.read(reader)
            if isinstance(first, frames.Ready) and hmac.compare_digest(first.token, token):
                return reader, writer, first
        writer.close()


async def _kill(process: asyncio.subprocess.Process) -> None:
    for send in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError):
            send()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_TIMEOUT)
            return
