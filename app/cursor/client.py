"""The bridge as the server sees it: always there, restarted when it dies, many runs at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.cursor import frames, process, sandbox
from app.cursor.conversation import Image, Prompt, Tool, ToolCall, Turn
from app.cursor.runtime import Missing, Runtime, find
from app.cursor.sandbox import Sandbox
from app.errors import AppError
from app.settings import Settings

State = Literal["starting", "ready", "restarting", "missing", "stopped"]

FIRST_DELAY = 0.2  # seconds before the first restart, doubled for each further one
LONGEST_DELAY = 30.0
STEADY = 60.0  # a bridge that lived this long starts over with the first delay
READY_PATIENCE = 10.0  # how long a request waits for a bridge that is starting
TAKEN_AT_ONCE = 64 * 1024  # characters of output after which the bridge is told that they were taken
ME_PATIENCE = 30.0  # seconds to learn whose a key is
GRACE = 5.0  # added to the run's own timeout before the bridge is thought stuck

log = logging.getLogger("app.bridge")

__all__ = [
    "Bridge", "Done", "Image", "Output", "Prompt", "RunFailed", "State", "Text", "Thinking", "Tool",
    "ToolCall", "ToolCalls", "Turn",
]  # fmt: skip


class RunFailed(Exception):
    """A run that ended badly. `kind` as in app/bridge/src/failures.mjs, or "bridge": lost or absent."""

    def __init__(self, kind: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """The model waits for these of the client's tools; Done follows. The run goes on with their results."""

    calls: tuple[ToolCall, ...]


Text = frames.Text
Thinking = frames.Thinking
Done = frames.Done
Output = Text | Thinking | ToolCalls | Done
SAID = (frames.Text, frames.Thinking)
ENDS = (frames.Done, frames.Failed)


class Connection:
    """One bridge process's stream, shared by all its runs."""

    def __init__(self, link: process.Link) -> None:
        self.link = link
        self._runs: dict[int, asyncio.Queue[frames.Event]] = {}

    async def serve(self) -> None:
        """Hand events to their runs until the bridge hangs up; then fail every run that is left."""
        try:
            async for event in frames.read_all(self.link.reader):
                queue = self._runs.get(getattr(event, "id", 0))
                if queue is not None:
                    queue.put_nowait(event)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            log.warning("the bridge hung up (%s)", type(error).__name__)
        finally:
            for number, queue in self._runs.items():
                queue.put_nowait(frames.Failed(number, "bridge", "the bridge ended during the run", True))

    def send(self, message: dict[str, Any]) -> None:
        """Send an operation; on a broken stream `serve` notices."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self.link.writer.write(frames.encode(message))

    @contextlib.contextmanager
    def listen(self, number: int) -> Iterator[asyncio.Queue[frames.Event]]:
        """Collect the events of run `number`."""
        queue: asyncio.Queue[frames.Event] = asyncio.Queue()
        self._runs[number] = queue
        try:
            yield queue
        finally:
            del self._runs[number]


@dataclass(slots=True)
class _Taken:
    """Counts what the caller took, to be told to the bridge now and then: it sends only so much ahead."""

    events: int = 0
    characters: int = 0

    def add(self, event: frames.Event) -> int:
        """Count `event`; give how many events to report now, mostly 0."""
        self.events += 1
        self.characters += len(event.text) if isinstance(event, SAID) else 0
        if self.characters < TAKEN_AT_ONCE:
            return 0
        count, self.events, self.characters = self.events, 0, 0
        return count


def _output(event: frames.Event) -> Output | None:
    """Give what the caller of a run gets to see of `event`. Raises RunFailed for one that says so."""
    match event:
        case frames.Text() | frames.Thinking() | frames.Done():
            return event
        case frames.Failed():
            raise RunFailed(event.kind, event.message, retryable=event.retryable)
        case frames.Calls():
            return ToolCalls(tuple(ToolCall(call.id, call.name, call.arguments) for call in event.calls))
        case _:
            return None


class Bridge:
    """Keeps one bridge process running and runs prompts on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state: State = "starting"
        self.runtime: Runtime | None = None
        self.sandbox: Sandbox | None = None
        self.problem: str | None = None
        self._connection: Connection | None = None
        self._settled = asyncio.Event()  # set while there is nothing to wait for: it is ready, or will not be
        self._numbers = itertools.count(1)
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to start the bridge; returns at once. `state` tells how far it is."""
        self._supervisor = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the bridge and wait until it is gone."""
        self.state = "stopped"
        await self._end()
        self._settled.set()

    async def restart(self) -> None:
        """End the bridge and start another one, which requests wait for."""
        self.state = "restarting"
        await self._end()
        self._settled.clear()  # also after a bridge that was given up
        await self.start()

    async def _end(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor

    async def run(self, prompt: Prompt) -> AsyncGenerator[Output, None]:
        """Run `prompt`: yields pieces of text and thinking, perhaps ToolCalls, lastly Done. Raises RunFailed.

        Closing the iterator early cancels the run at Cursor.
        """
        connection = await self._connected()
        number = next(self._numbers)
        with connection.listen(number) as queue:
            connection.send(self._request(number, prompt))
            ended = False
            taken = _Taken()
            try:
                while not ended:
                    event = await self._next(queue)
                    ended = isinstance(event, ENDS)
                    if (output := _output(event)) is not None:
                        yield output
                    if (count := taken.add(event)) > 0:
                        connection.send({"op": "taken", "id": number, "count": count})
            finally:
                if not ended:
                    connection.send({"op": "cancel", "id": number})

    async def status(self) -> frames.Status:
        """Ask the bridge how it is. Raises RunFailed."""
        answer = await self._ask({"op": "status"}, READY_PATIENCE)
        if not isinstance(answer, frames.Status):
            raise RunFailed("bridge", "the bridge did not say how it is")
        return answer

    async def me(self, key: str) -> frames.Me:
        """Ask Cursor whose `key` is. Raises RunFailed, of kind "authentication" if it is nobody's."""
        answer = await self._ask({"op": "me", "key": key}, ME_PATIENCE)
        if not isinstance(answer, frames.Me):
            raise RunFailed("bridge", "the bridge did not say whose the key is")
        return answer

    async def _ask(self, operation: dict[str, Any], seconds: float) -> frames.Event:
        """Send an operation that has one answer, and wait for it. Raises RunFailed."""
        connection = await self._connected()
        number = next(self._numbers)
        with connection.listen(number) as queue:
            connection.send({**operation, "id": number})
            try:
                answer = await asyncio.wait_for(queue.get(), seconds)
            except TimeoutError:
                raise RunFailed("timeout", "the bridge does not answer") from None
        _output(answer)
        return answer

    def _request(self, number: int, prompt: Prompt) -> dict[str, Any]:
        return {
            "op": "run",
            "id": number,
            **prompt.message(),
            "timeout_ms": self.settings.run_timeout_ms,
            "park_ms": self.settings.park_ms,
        }

    async def _next(self, queue: asyncio.Queue[frames.Event]) -> frames.Event:
        if not queue.empty():
            return queue.get_nowait()
        try:
            async with asyncio.timeout(self.settings.run_timeout_ms / 1000 + GRACE):  # wait_for makes a task
                return await queue.get()
        except TimeoutError:
            raise RunFailed("timeout", "the bridge does not answer") from None

    async def _connected(self) -> Connection:
        if not self._settled.is_set():
            try:
                await asyncio.wait_for(self._settled.wait(), READY_PATIENCE)
            except TimeoutError:
                raise RunFailed("bridge", self.problem or "the bridge is not ready", retryable=True) from None
        if self._connection is None:
            raise RunFailed("bridge", self.problem or "the bridge does not run")
        return self._connection

    async def _supervise(self) -> None:
        found = await asyncio.to_thread(find, self.settings)
        if isinstance(found, Missing):
            return self._give_up("; ".join(found.reasons))
        self.runtime = found
        try:
            self.sandbox = await asyncio.to_thread(self._find_sandbox, found)
        except AppError as error:
            return self._give_up(str(error))
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY
        while True:
            began = loop.time()
            try:
                await self._live(found)
            except Exception as error:  # whatever it is, the bridge must come back
                self.problem = f"the bridge could not be kept running ({type(error).__name__})"
                log.exception("the bridge's supervisor failed")
            self.state = "restarting"
            delay = FIRST_DELAY if loop.time() - began > STEADY else min(delay * 2, LONGEST_DELAY)
            await asyncio.sleep(delay)

    def _give_up(self, problem: str) -> None:
        self.state, self.problem = "missing", problem
        self._settled.set()
        log.error("there is no bridge: %s", problem)

    def _find_sandbox(self, runtime: Runtime) -> Sandbox | None:
        try:
            state = process.prepare_state(self.settings.data_dir)
        except process.LaunchError:
            return None  # the launch will say so
        return sandbox.find(self.settings.sandbox, runtime, state)

    async def _live(self, runtime: Runtime) -> None:
        """Run one bridge process from start to end."""
        try:
            link = await process.launch(runtime, self.settings, self.sandbox)
        except process.LaunchError as error:
            self.problem = str(error)
            log.error("%s", error)
            return
        try:
            self._connection = Connection(link)
            self.state, self.problem = "ready", None
            self._settled.set()
            walls = "none" if self.sandbox is None else self.sandbox.name
            log.info("bridge ready in %s %s, sandbox: %s", link.ready.runtime, link.ready.version, walls)
            await self._connection.serve()
        finally:
            self._connection = None
            self._settled.clear()
            await process.end(link)
