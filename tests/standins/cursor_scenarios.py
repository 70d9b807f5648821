"""What the stand-in for Cursor's backend can play. A prompt picks one: `[[scenario:slow count=200]]`.

Without such a mark it is `text`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.standins import cursor_messages as agent
from tests.standins.cursor_wire import connect_error

MARK = re.compile(r"\[\[scenario:(\w+)((?: [\w-]+=[^\s\]]+)*)\]\]")
ANSWER = ("Hello", " from", " the", " stand-in")
HEARTBEAT = 5.0
REPLY_TIMEOUT = 8.0


@dataclass(frozen=True, slots=True)
class Reply:
    """How a client answered a request to do something: its bytes, or why it would not."""

    kind: int
    data: bytes = b""
    refused: str | None = None
    silent: bool = False


@dataclass
class SeenRun:
    """A run as the backend saw it. `client_left` tells that the client hung up before the end."""

    prompt: str
    model: str
    params: Mapping[str, str]
    key: str
    images: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    replies: list[Reply] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    cancelled: bool = False
    client_left: bool = False
    ended: bool = False


class Stage(Protocol):
    """What a scenario acts on."""

    seen: SeenRun
    base_url: str

    async def say(self, *messages: bytes) -> None:
        """Send messages to the client."""

    async def end(self, error: Mapping[str, object] | None = None) -> None:
        """End the stream, well or with an error."""

    async def cut(self) -> None:
        """Drop the connection."""

    async def http_error(self, status: int, body: Mapping[str, object]) -> None:
        """Answer with an HTTP error instead of a stream; only before anything was sent."""

    async def ask(self, kind: int, arguments: bytes, *, timeout: float = REPLY_TIMEOUT) -> Reply:
        """Ask the client to do something and wait for what it says."""


Arguments = Mapping[str, str]
Scenario = Callable[[Stage, Arguments], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


def pick(prompt: str) -> tuple[Scenario, Arguments]:
    """The scenario a prompt asks for; KeyError names one that does not exist."""
    found = MARK.search(prompt)
    if found is None:
        return text, {}
    pairs = (pair.partition("=") for pair in found[2].split())
    return SCENARIOS[found[1]], {name: value for name, _, value in pairs}


async def _finish(stage: Stage, *counts: int) -> None:
    await stage.say(agent.turn_ended(*counts))
    await stage.end()


@scenario
async def text(stage: Stage, arguments: Arguments) -> None:
    for word in ANSWER:
        await stage.say(agent.text_delta(word))
    await _finish(stage, 11, 7)


@scenario
async def echo(stage: Stage, arguments: Arguments) -> None:
    """Answers with the prompt itself."""
    await stage.say(agent.text_delta(stage.seen.prompt))
    await _finish(stage)


@scenario
async def usage(stage: Stage, arguments: Arguments) -> None:
    """Counts with parts read from and written to a cache."""
    await stage.say(agent.text_delta("counted"))
    await _finish(stage, 100, 20, 5, 3)


@scenario
async def uncounted(stage: Stage, arguments: Arguments) -> None:
    """A turn that ends without counts."""
    await stage.say(agent.text_delta("twelve chars"), agent.turn_ended_uncounted())
    await stage.end()


@scenario
async def thinking(stage: Stage, arguments: Arguments) -> None:
    await stage.say(agent.thinking_delta("Let me think. "), agent.thinking_completed(12))
    await text(stage, arguments)


@scenario
async def slow(stage: Stage, arguments: Arguments) -> None:
    """`count` pieces, `delay` seconds apart."""
    for index in range(int(arguments.get("count", 30))):
        await stage.say(agent.text_delta(f"{index} "))
        await asyncio.sleep(float(arguments.get("delay", 0.1)))
    await _finish(stage)


@scenario
async def big(stage: Stage, arguments: Arguments) -> None:
    """One piece of `size` characters."""
    await stage.say(agent.text_delta("x" * int(arguments.get("size", 1_000_000))))
    await _finish(stage)


@scenario
async def empty(stage: Stage, arguments: Arguments) -> None:
    await _finish(stage)


@scenario
async def silence(stage: Stage, arguments: Arguments) -> None:
    """Begins and says nothing more."""
    await stage.say(agent.text_delta("started"))
    await asyncio.sleep(600)


@scenario
async def hang(stage: Stage, arguments: Arguments) -> None:
    """Begins and only keeps the connection alive."""
    await stage.say(agent.text_delta("started"))
    await _beat(stage)


@scenario
async def stuck(stage: Stage, arguments: Arguments) -> None:
    """Keeps the connection alive and never begins."""
    await _beat(stage)


async def _beat(stage: Stage) -> None:
    while True:
        await stage.say(agent.heartbeat())
        await asyncio.sleep(HEARTBEAT)


@scenario
async def no_turn_end(stage: Stage, arguments: Arguments) -> None:
    await stage.say(agent.text_delta("partial"))
    await stage.end()


@scenario
async def cut(stage: Stage, arguments: Arguments) -> None:
    await stage.say(agent.text_delta("partial"))
    await stage.cut()


@scenario
async def cut_at_once(stage: Stage, arguments: Arguments) -> None:
    await stage.cut()


@scenario
async def garbage(stage: Stage, arguments: Arguments) -> None:
    await stage.say(b"\xff\xff\xff\xff no message at all")
    await stage.end()


@scenario
async def error_midway(stage: Stage, arguments: Arguments) -> None:
    await stage.say(agent.text_delta("some text "))
    await stage.end(connect_error("internal", "boom"))


@scenario
async def rate_limit(stage: Stage, arguments: Arguments) -> None:
    await stage.end(
        connect_error("resource_exhausted", "Error", kind=41, title="Too many requests", detail="Slow down")
    )


@scenario
async def usage_limit(stage: Stage, arguments: Arguments) -> None:
    await stage.end(
        connect_error("resource_exhausted", "Error", kind=10, title="Usage limit", detail="You hit it")
    )


@scenario
async def unavailable(stage: Stage, arguments: Arguments) -> None:
    await stage.end(connect_error("unavailable", "Server at capacity"))


@scenario
async def bad_model(stage: Stage, arguments: Arguments) -> None:
    await stage.end(connect_error("invalid_argument", "Error", kind=5, title="Bad model", detail="None such"))


@scenario
async def unauthenticated(stage: Stage, arguments: Arguments) -> None:
    await stage.end(connect_error("unauthenticated", "token expired"))


@scenario
async def http_error(stage: Stage, arguments: Arguments) -> None:
    """An HTTP status instead of a stream: `status`."""
    status = int(arguments.get("status", 500))
    await stage.http_error(status, {"code": "internal", "message": f"status {status}"})


@scenario
async def context(stage: Stage, arguments: Arguments) -> None:
    """Asks what the client's surroundings are; the answer is in `replies`."""
    await stage.ask(agent.REQUEST_CONTEXT, b"")
    await stage.say(agent.text_delta("thank you"))
    await _finish(stage)


@scenario
async def query(stage: Stage, arguments: Arguments) -> None:
    """Asks the questions that an editor would put before its user."""
    for number, kind in enumerate((2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14), 1):
        await stage.say(agent.interaction_query(number, kind))
    await asyncio.sleep(0.3)
    await stage.say(agent.text_delta("asked"))
    await _finish(stage)


@scenario
async def builtin(stage: Stage, arguments: Arguments) -> None:
    """Tries every built-in tool at `folder` and file `secret`, one by one or (`parallel=1`) all at once."""
    wanted = agent.attempts(
        arguments["folder"],
        arguments["secret"],
        f"{stage.base_url}/probe/fetched",
        arguments.get("call", "c"),
    )
    if "parallel" in arguments:
        await asyncio.gather(*(stage.ask(kind, data) for kind, data in wanted))
    else:
        for kind, data in wanted:
            await stage.ask(kind, data)
    await stage.say(agent.text_delta("tried"))
    await _finish(stage)
