"""What the stand-in for Cursor's backend can play. A prompt picks one: `[[scenario:slow count=200]]`.

Without such a mark it is `text`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.standins import cursor_messages as agent
from tests.standins.cursor_kinds import Kind
from tests.standins.cursor_wire import block, connect_error

MARK = re.compile(r"\[\[scenario:(\w+)((?: [\w-]+=[^\s\]]+)*)\]\]")
ANSWER = ("Hello", " from", " the", " stand-in")
HEARTBEAT = 5.0
REPLY_TIMEOUT = 8.0
LONG = 600.0  # seconds a client's own tool may take


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
    state: int = 0  # bytes of conversation state that came with it: more than none for a further turn
    conversation: str = ""
    images: tuple[bytes, ...] = ()
    tools: tuple[str, ...] = ()
    offered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # each tool's parameters
    replies: list[Reply] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    cancelled: bool = False
    client_left: bool = False
    ended: bool = False


class Stage(Protocol):
    """What a scenario acts on."""

    seen: SeenRun
    base_url: str
    tally: dict[str, int]
    kinds: Sequence[Kind]

    async def say(self, *messages: bytes) -> None:
        """Send messages to the client."""

    async def end(self, error: Mapping[str, object] | None = None) -> None:
        """End the stream, well or with an error."""

    def lose(self) -> None:
        """End the stream with an error, at once."""

    async def cut(self) -> None:
        """Drop the connection."""

    async def http_error(self, status: int, body: Mapping[str, object]) -> None:
        """Answer with an HTTP error instead of a stream; only before anything was sent."""

    async def ask(self, kind: int, arguments: bytes, *, timeout: float = REPLY_TIMEOUT) -> Reply:
        """Ask the client to do something and wait for what it says."""

    def follow(self, scenario: Scenario, arguments: Arguments) -> None:
        """Have the next turn of this conversation played so, whatever its prompt."""


Arguments = Mapping[str, str]
Scenario = Callable[[Stage, Arguments], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


def pick(prompt: str, otherwise: str | None = None) -> tuple[Scenario, Arguments]:
    """The scenario a prompt asks for, or else `otherwise` does; KeyError names one that does not exist."""
    found = MARK.search(prompt) or MARK.search(otherwise or "")
    if found is None:
        return text, {}
    pairs = (pair.partition("=") for pair in found[2].split())
    return SCENARIOS[found[1]], {name: value for name, _, value in pairs}


async def finish(stage: Stage, *counts: int) -> None:
    await stage.say(agent.checkpoint(b"".join(block(8, f"turn-{turn}") for turn in (1, 2))))
    await stage.say(agent.turn_ended(*counts))
    await stage.end()


@scenario
async def text(stage: Stage, arguments: Arguments) -> None:
    for word in ANSWER:
        await stage.say(agent.text_delta(word))
    await finish(stage, 11, 7)


@scenario
async def echo(stage: Stage, arguments: Arguments) -> None:
    """Answers with the prompt itself."""
    await stage.say(agent.text_delta(stage.seen.prompt))
    await finish(stage)


FORMS = {
    "fits": '{"colours": ["red", "green", "blue"]}',
    "fenced": '```json\n{"colours": ["red", "green", "blue"]}\n```',
    "misfit": '{"colours": "red, green and blue"}',
    "broken": '{"colours": ["red", "green", ',
    "chatty": 'Of course! {"colours": ["red", "green", "blue"]}',
}


@scenario
async def json(stage: Stage, arguments: Arguments) -> None:
    """Answers with JSON in the first of `forms`; in the conversation's next turns, with those after it."""
    form, _, further = arguments["forms"].partition(",")
    half = len(FORMS[form]) // 2
    await stage.say(agent.text_delta(FORMS[form][:half]), agent.text_delta(FORMS[form][half:]))
    if further:
        stage.follow(json, {"forms": further})
    await finish(stage, 10, 5)


@scenario
async def usage(stage: Stage, arguments: Arguments) -> None:
    """Counts with parts read from and written to a cache."""
    await stage.say(agent.text_delta("counted"))
    await finish(stage, 100, 20, 5, 3)


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
    await finish(stage)


@scenario
async def big(stage: Stage, arguments: Arguments) -> None:
    """One piece of `size` characters."""
    await stage.say(agent.text_delta("x" * int(arguments.get("size", 1_000_000))))
    await finish(stage)


@scenario
async def flood(stage: Stage, arguments: Arguments) -> None:
    """`count` pieces of `size` characters, as fast as they are taken."""
    piece = agent.text_delta("x" * int(arguments.get("size", 100_000)))
    for _ in range(int(arguments.get("count", 100))):
        await stage.say(piece)
        await asyncio.sleep(0)
    await finish(stage)


@scenario
async def empty(stage: Stage, arguments: Arguments) -> None:
    await finish(stage)


@scenario
async def silence(stage: Stage, arguments: Arguments) -> None:
    """Begins and says nothing more."""
    await stage.say(agent.text_delta("started"))
    await asyncio.sleep(600)


@scenario
async def hang(stage: Stage, arguments: Arguments) -> None:
    """Begins and only keeps the connection alive."""
    await stage.say(agent.text_delta("started"))
    await beat(stage)


@scenario
async def stuck(stage: Stage, arguments: Arguments) -> None:
    """Keeps the connection alive and never begins."""
    await beat(stage)


async def beat(stage: Stage) -> None:
    while True:
        await stage.say(agent.heartbeat())
        await asyncio.sleep(HEARTBEAT)


@contextlib.asynccontextmanager
async def beating(stage: Stage) -> AsyncIterator[None]:
    """Keep the connection alive while the client works."""
    task = asyncio.create_task(beat(stage))
    try:
        yield
    finally:
        task.cancel()


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
async def flaky(stage: Stage, arguments: Arguments) -> None:
    """Unavailable for the first `times` runs, then `text`."""
    stage.tally["flaky"] = stage.tally.get("flaky", 0) + 1
    if stage.tally["flaky"] <= int(arguments.get("times", 1)):
        await unavailable(stage, arguments)
    else:
        await text(stage, arguments)


@scenario
async def tools(stage: Stage, arguments: Arguments) -> None:
    """Calls the client's tool `tool` for each of `for`, all in one turn, and answers with the results.

    `gap` seconds lie between the calls; with `again` there is a further call after the results. With `quiet`
    nothing announces the calls, with `lost` the run fails after that many seconds, with `linger` it does not
    end. `folder`, `secret`: everything of `builtin` right behind the calls.
    """
    wanted = arguments.get("for", "Paris").split(",")
    await stage.say(agent.text_delta("Let me look. "))
    asked = [_call(stage, arguments, f"call-{index}", item) for index, item in enumerate(wanted)]
    if "quiet" not in arguments:
        await stage.say(*(agent.tool_started(call, agent.mcp_call(data)) for call, data in asked))
    behind = agent.attempts_of(arguments, stage.base_url, stage.kinds) if "folder" in arguments else []
    if "lost" in arguments:
        asyncio.get_running_loop().call_later(float(arguments["lost"]), stage.lose)
    async with beating(stage):
        replies, _ = await asyncio.gather(
            _ask_apart(stage, [(agent.MCP, data) for _, data in asked], float(arguments.get("gap", 0))),
            _ask_apart(stage, behind, 0),
        )
        await stage.say(*(agent.tool_completed(call, agent.mcp_call(data)) for call, data in asked))
        if "again" in arguments:
            _, data = _call(stage, arguments, "call-again", arguments["again"])
            replies.append(await stage.ask(agent.MCP, data, timeout=LONG))
    heard = (agent.tool_result(reply.data) or reply.refused or "nothing" for reply in replies)
    await stage.say(agent.text_delta(f"I heard: {'; '.join(heard)}"))
    if "linger" in arguments:
        await beat(stage)
    await finish(stage, 100, 20, 5, 3)


def _call(stage: Stage, arguments: Arguments, call: str, item: str) -> tuple[str, bytes]:
    return call, agent.tool_arguments(
        arguments.get("tool", "get_weather"), {"city": item, "n": [1, None]}, call
    )


async def _ask_apart(stage: Stage, wanted: list[tuple[int, bytes]], gap: float) -> list[Reply]:
    async def ask(index: int, kind: int, data: bytes) -> Reply:
        await asyncio.sleep(index * gap)
        return await stage.ask(kind, data, timeout=LONG if kind == agent.MCP else REPLY_TIMEOUT)

    return list(await asyncio.gather(*(ask(index, *item) for index, item in enumerate(wanted))))


@scenario
async def context(stage: Stage, arguments: Arguments) -> None:
    """Asks what the client's surroundings are; the answer is in `replies`."""
    await stage.ask(agent.REQUEST_CONTEXT, b"")
    await stage.say(agent.text_delta("thank you"))
    await finish(stage)


@scenario
async def query(stage: Stage, arguments: Arguments) -> None:
    """Asks the questions that an editor would put before its user."""
    for number, kind in enumerate((2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14), 1):
        await stage.say(agent.interaction_query(number, kind))
    await asyncio.sleep(0.3)
    await stage.say(agent.text_delta("asked"))
    await finish(stage)


@scenario
async def builtin(stage: Stage, arguments: Arguments) -> None:
    """Tries every built-in tool at `folder` and file `secret`, one by one or (`parallel=1`) all at once."""
    wanted = agent.attempts_of(arguments, stage.base_url, stage.kinds)
    if "parallel" in arguments:
        await asyncio.gather(*(stage.ask(kind, data) for kind, data in wanted))
    else:
        for kind, data in wanted:
            await stage.ask(kind, data)
    await stage.say(agent.text_delta("tried"))
    await finish(stage)
