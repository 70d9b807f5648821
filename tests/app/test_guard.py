"""No built-in tool of the model's runs on this machine: the guard, tried with every kind of request."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from app.cursor.client import RunFailed, ToolCalls
from app.settings import Settings
from commands import Subprocess
from release.bundle.bridge import build_bridge
from tests.app.bridges import WEATHER, answered, asking, collect, running, until
from tests.app.conftest import ROOT
from tests.standins import cursor_kinds
from tests.standins.cursor import CursorStandIn
from tests.standins.cursor_messages import HARMLESS, SLEEP
from tests.standins.cursor_scenarios import Reply
from tests.standins.cursor_wire import block

pytestmark = [pytest.mark.release, pytest.mark.anyio]


@dataclasses.dataclass
class Victim:
    """What a hostile backend aims at."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Victim:
        folder.mkdir()
        (folder / "victim").write_text("original")
        (folder / "secret.txt").write_text("TOPSECRET")
        return cls(folder)

    def harm(self, cursor: CursorStandIn) -> list[str]:
        """Everything that happened and should not have."""
        victim = self.folder / "victim"
        found = [path.name for path in self.folder.iterdir() if path.name.startswith("made-")]
        if not victim.exists() or victim.read_text() != "original":
            found.append("victim")
        if any(b"TOPSECRET" in run.received.replace(b"[[", b"") for run in cursor.runs[1:]):
            found.append("leak")
        return found + cursor.probes

    def prompt(self, *more: str, name: str = "builtin") -> str:
        arguments = (f"folder={self.folder}", f"secret={self.folder}/secret.txt", *more)
        return f"[[scenario:{name} {' '.join(arguments)}]]"


@pytest.fixture
def cursor(cursor: CursorStandIn, node_modules: Path) -> CursorStandIn:
    """The stand-in, with all that the installed SDK can be asked for."""
    cursor.backend.kinds = cursor_kinds.read(node_modules)
    return cursor


@pytest.fixture
def real(real: Settings) -> Settings:
    """Without the second wall: the guard has to hold by itself."""
    return dataclasses.replace(real, sandbox="off")


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim.make(tmp_path / "victim")


@pytest.mark.parametrize("more", [(), ("parallel=1",)], ids=["one by one", "all at once"])
async def test_no_built_in_tool_runs(
    either: Settings, cursor: CursorStandIn, victim: Victim, more: tuple[str, ...]
) -> None:
    async with running(either) as bridge:
        await collect(bridge, "hi")
        text, _ = await collect(bridge, victim.prompt(*more))
        status = await bridge.status()
    await asyncio.sleep(0.3)
    assert victim.harm(cursor) == []
    assert text == "tried"
    refused_all(cursor, cursor.runs[1].replies)
    assert sum(status.refusals.values()) == len(cursor.runs[1].replies)
    assert len(cursor.runs) == 2  # no sub-agent either


async def test_no_built_in_tool_runs_behind_a_clients_tool(
    either: Settings, cursor: CursorStandIn, victim: Victim
) -> None:
    """While a run is suspended on a client's tool, and its call was allowed, the rest is refused as ever."""
    async with running(either) as bridge:
        await collect(bridge, "hi")
        prompt = dataclasses.replace(asking(victim.prompt(name="tools")), tools=(WEATHER,))
        (calls,) = [event.calls async for event in bridge.run(prompt) if isinstance(event, ToolCalls)]
        await until(lambda: len(cursor.runs[1].replies) == len(cursor.backend.kinds) - len(HARMLESS), 20)
        refused_all(cursor, cursor.runs[1].replies)
        text, _ = await collect(bridge, answered(prompt, calls, ["sunny"]))
    assert text == "I heard: sunny"
    assert victim.harm(cursor) == []
    assert len(cursor.runs) == 2


def refused_all(cursor: CursorStandIn, replies: list[Reply]) -> None:
    assert len(replies) == len(cursor.backend.kinds) - len(HARMLESS)
    assert {reply.refused for reply in replies} == {replies[0].refused}
    assert "refused: built-in tools are disabled" in (replies[0].refused or "")


async def test_questions_for_an_editors_user_do_nothing_here(real: Settings, cursor: CursorStandIn) -> None:
    """The SDK answers them itself: plans, modes, environments, web pages, pictures."""
    async with running(real) as bridge:
        text, _ = await collect(bridge, "[[scenario:query]]")
    assert text == "asked"
    assert cursor.probes == []
    assert [path for path in real.data_dir.rglob("*") if path.is_file()] == []


async def test_no_process_and_no_listener_comes_of_it(
    real: Settings, cursor: CursorStandIn, victim: Victim
) -> None:
    """Looked at while everything is being asked for, not only afterwards."""
    if not Path("/proc").is_dir():
        pytest.skip("this system has no /proc")
    seen: set[int] = set()
    sockets: set[tuple[str, str]] = set()
    others = family(os.getpid())  # servers that fixtures of this test process keep
    async with running(real) as bridge:
        await collect(bridge, "hi")
        before = family(os.getpid()) - others
        run = asyncio.create_task(collect(bridge, victim.prompt("parallel=1")))
        while not run.done():
            seen |= family(os.getpid()) - others - before
            sockets |= connections(before)
            await asyncio.sleep(0.005)
    assert before
    assert seen == set()
    port = int(cursor.url.rpartition(":")[2])
    assert sockets == {("01", f"0100007F:{port:04X}")}  # established, to 127.0.0.1; nothing that listens


async def test_the_look_at_processes_sees_one(real: Settings) -> None:
    before = family(os.getpid())
    process = await asyncio.create_subprocess_exec("sleep", str(SLEEP))
    try:
        assert family(os.getpid()) - before
    finally:
        process.kill()
        await process.wait()


def family(process: int) -> set[int]:
    """The processes that `process` started, and those they did."""
    found: set[int] = set()
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                found |= {child, *family(child)}
    return found


def connections(processes: set[int]) -> set[tuple[str, str]]:
    """State and far end of the TCP sockets of `processes`, as /proc/net/tcp writes them."""
    owned: set[str] = set()
    for link in (link for process in processes for link in Path(f"/proc/{process}/fd").glob("*")):
        with contextlib.suppress(OSError):
            owned.add(str(link.readlink()))
    tables = ((Path("/proc/net") / name).read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    rows = [line.split() for table in tables for line in table]
    return {(row[3], row[2]) for row in rows if f"socket:[{row[9]}]" in owned and row[3] in ("01", "0A")}


async def test_without_the_guard_there_is_harm(
    real: Settings, cursor: CursorStandIn, victim: Victim, bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    """The test above can fail: the same requests to a bridge whose guard does nothing have effects."""
    settings = with_guard(real, "vouch = () => true", bun, node_modules, tmp_path)
    async with running(settings) as bridge:
        await collect(bridge, "hi")
        with contextlib.suppress(RunFailed, TimeoutError):
            await asyncio.wait_for(collect(bridge, victim.prompt("parallel=1")), 30)
    harm = victim.harm(cursor)
    assert "leak" in harm
    assert "made-write" in harm


async def test_where_the_guard_fails_the_sandbox_holds(
    real: Settings, cursor: CursorStandIn, victim: Victim, bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    settings = with_guard(real, "vouch = () => true", bun, node_modules, tmp_path)
    before = family(os.getpid())
    async with running(dataclasses.replace(settings, sandbox="auto")) as bridge:
        await collect(bridge, "hi")
        if bridge.sandbox is None:
            pytest.skip("this system has no bubblewrap, or does not allow it")
        mine = family(os.getpid()) - before
        with contextlib.suppress(RunFailed, TimeoutError):
            await asyncio.wait_for(collect(bridge, victim.prompt("parallel=1")), 30)
        assert family(os.getpid()) - before <= mine
    harm = victim.harm(cursor)
    assert set(harm) <= {"leak", "/probe/fetched"}  # the network is open, and what it gave was sent back
    assert not any(b"TOPSECRET\n" in run.received or b"original" in run.received for run in cursor.runs)


async def test_output_past_the_guard_ends_the_run(
    real: Settings, bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    settings = with_guard(real, "vouch = () => false", bun, node_modules, tmp_path)
    async with running(settings) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, "hi")
    assert caught.value.kind == "guard"


def with_guard(settings: Settings, vouch: str, bun: Path, node_modules: Path, folder: Path) -> Settings:
    """A bridge built with a guard that guards nothing."""
    source = folder / "unguarded"
    shutil.copytree(ROOT / "app/bridge", source)
    (source / "src/guard.mjs").write_text(f"export const {vouch}; export const refusals = () => ({{}});")
    built = folder / "unguarded.js"
    build_bridge(source, node_modules, bun, built, runner=Subprocess())
    return dataclasses.replace(settings, bridge_js=built)


async def test_the_context_tells_nothing_of_this_machine(
    either: Settings, cursor: CursorStandIn, tmp_path: Path
) -> None:
    async with running(either) as bridge:
        await collect(bridge, "[[scenario:context]]")
    sent = bytes(cursor.runs[0].received)
    assert b"/workspace" in sent
    home = os.environ["HOME"].encode() + b"/"
    for private in (str(tmp_path).encode(), str(either.data_dir).encode(), home, os.uname().release.encode()):
        assert private not in sent


def test_the_kinds_of_requests_are_the_sdks_own(cursor: CursorStandIn, node_modules: Path) -> None:
    """A new SDK is tried with its own kinds; that the list is whole shows in another way of reading it."""
    names = {kind.name for kind in cursor.backend.kinds}
    assert names >= {
        "shell_args",
        "write_args",
        "fetch_args",
        "subagent_args",
        "pi_bash_args",
    }
    source = (node_modules / cursor_kinds.BUNDLED).read_text("utf-8")
    described = source.partition('typeName="agent.v1.ExecServerMessage"')[2].partition("]);")[0]
    assert len(names) == described.count('oneof:"message"') == len(cursor.backend.kinds)


def test_arguments_for_a_kind_nobody_has_seen() -> None:
    field = cursor_kinds.Field
    fields = (
        (field(1, "command", "scalar", "9", False), None),
        (field(2, "target_path", "scalar", "9", False), None),
    )
    inner = (field(3, "options", "message", "Xy", False), ((field(1, "url", "scalar", "9", False), None),))
    kind = cursor_kinds.Kind(99, "future_args", (*fields, inner))
    guessed = cursor_kinds.guess(kind, path="/p", command="run", url="http://u")
    assert guessed == block(1, "run") + block(2, "/p") + block(3, block(1, "http://u"))
