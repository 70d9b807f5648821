"""What the stand-in's model does for a coding agent: it works with whichever of the offered tools fits.

Agents name their tools and the parameters as they like. What is called is chosen from what was offered, as a
model would: by the names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from tests.standins import cursor_messages as agent
from tests.standins.cursor_scenarios import LONG, Arguments, Stage, beating, finish, scenario

Offered = Mapping[str, tuple[str, ...]]  # the names of each tool's parameters
Call = tuple[str, dict[str, object]]

WRITERS, READERS = ("write", "write_file"), ("read", "read_file")
VIEWERS = ("view_image", *READERS)
SHELLS = ("bash", "shell", "exec_command", "shell_command")
FILE, CONTENT, COMMAND = ("filePath", "path", "file_path"), ("content", "contents"), ("command", "cmd")


@scenario
async def work(stage: Stage, arguments: Arguments) -> None:
    """Takes the `steps`, each of them a call of a tool, and says what the last ones gave.

    write: the word `word` into `file`; read: that file; run: `cat` on it; look: at `picture`. Steps joined by
    "+" are taken at once. Without tools (agents also ask for titles and summaries) it only says so.
    """
    if not stage.seen.offered:
        await stage.say(agent.text_delta("Work without tools"))
        return await finish(stage)
    heard: list[str] = []
    for turn in arguments["steps"].split(","):
        await stage.say(agent.text_delta(f"Now I {turn}. "))
        steps = turn.split("+")
        calls = (_use(stage, step, choose(step, stage.seen.offered, arguments)) for step in steps)
        async with beating(stage):
            heard = await asyncio.gather(*calls)
    await stage.say(agent.text_delta(f"It says: {'; '.join(heard)}"))
    await finish(stage, 100, 20)
    return None


async def _use(stage: Stage, id: str, call: Call) -> str:
    data = agent.tool_arguments(*call, id)
    await stage.say(agent.tool_started(id, agent.mcp_call(data)))
    reply = await stage.ask(agent.MCP, data, timeout=LONG)
    await stage.say(agent.tool_completed(id, agent.mcp_call(data)))
    return agent.tool_result(reply.data) or reply.refused or "nothing"


def choose(step: str, offered: Offered, arguments: Arguments) -> Call:
    """The call that takes a step; LookupError if none of the tools can."""
    file, word = arguments["file"], arguments["word"]
    ways: dict[str, Iterator[Call]] = {
        "write": _calls(offered, WRITERS, (FILE, file), (CONTENT, f"{word}\n")),
        "read": _calls(offered, READERS, (FILE, file)),
        "run": iter(()),
        "look": _calls(offered, VIEWERS, (FILE, arguments.get("picture", ""))),
    }
    for call in ways[step]:
        return call
    command = f"echo {word} > '{file}'" if step == "write" else f"cat '{file}'"
    for call in _calls(offered, SHELLS, (COMMAND, command)):
        return call
    raise LookupError(f"no tool to {step} with among {', '.join(offered)}")


def _calls(offered: Offered, names: tuple[str, ...], *values: tuple[tuple[str, ...], str]) -> Iterator[Call]:
    for name in names:
        given = {key: value for keys, value in values for key in keys if key in offered.get(name, ())}
        if len(given) == len(values):
            yield name, dict(given)


@scenario
async def edit(stage: Stage, arguments: Arguments) -> None:
    """Answers with an edit of `file`, from the line `old` to `new`, in aider's blocks; else with a title."""
    if "SEARCH/REPLACE" not in stage.seen.prompt:
        await stage.say(agent.text_delta("Greet otherwise"))
        return await finish(stage)
    blocks = ("<<<<<<< SEARCH", arguments["old"], "=======", arguments["new"], ">>>>>>> REPLACE")
    fenced = "\n".join((arguments["file"], "```python", *blocks, "```"))
    await stage.say(agent.text_delta("So:\n\n"), agent.text_delta(fenced), agent.text_delta("\n"))
    await finish(stage, 100, 20)
    return None
