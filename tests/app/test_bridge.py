"""The bridge for real: the SDK in Bun and in Node, against the stand-in for Cursor's backend."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.cursor.client import Bridge, Prompt, RunFailed
from app.cursor.frames import Done, Text, Thinking, Tokens
from app.cursor.models import COMPOSER, COMPOSER_FAST
from app.settings import Settings
from commands import Subprocess
from errors import Exit, Fault
from release.bundle.bridge import build_bridge
from tests.app.conftest import KEY, ROOT
from tests.standins.commands import Recorder
from tests.standins.cursor import CursorStandIn
from tests.standins.cursor_messages import EXEC_KINDS

pytestmark = [pytest.mark.release, pytest.mark.anyio]


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Bridge]:
    bridge = Bridge(settings)
    await bridge.start()
    try:
        yield bridge
    finally:
        await bridge.stop()


async def collect(bridge: Bridge, text: str, **changes: Any) -> tuple[str, Done]:
    """The answer's text and its end."""
    prompt = dataclasses.replace(Prompt(COMPOSER, text, KEY), **changes)
    pieces = []
    async for event in bridge.run(prompt):
        match event:
            case Text():
                pieces.append(event.text)
            case Done():
                return "".join(pieces), event
    raise AssertionError("the run had no end")


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


# --- building --------------------------------------------------------------------------------------------


def test_the_build_is_deterministic(bun: Path, node_modules: Path, bridge_js: Path, tmp_path: Path) -> None:
    moved = tmp_path / "some/other/place"
    shutil.copytree(ROOT / "app/bridge", moved, ignore=shutil.ignore_patterns("dist", "node_modules"))
    modules = tmp_path / "modules/node_modules"
    shutil.copytree(node_modules, modules, symlinks=True)
    build_bridge(moved, modules, bun, tmp_path / "out/bridge.js", runner=Subprocess())
    built = (tmp_path / "out/bridge.js").read_bytes()
    assert built == bridge_js.read_bytes()
    for private in (str(tmp_path), str(node_modules), str(ROOT), os.environ["HOME"] + "/"):
        assert private.encode() not in built
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bridge.js"]


def test_the_build_needs_its_packages(bun: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        build_bridge(ROOT / "app/bridge", tmp_path, bun, tmp_path / "bridge.js", runner=Subprocess())
    assert caught.value.status == Exit.INPUT_MISSING


def test_a_build_that_yields_nothing_or_nonsense_is_refused(
    bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "bridge.js"
    dst.write_text("the one before")
    with pytest.raises(Fault, match="built nothing"):
        build_bridge(ROOT / "app/bridge", node_modules, bun, dst, runner=Recorder())
    broken = tmp_path / "bridge"
    shutil.copytree(ROOT / "app/bridge", broken)
    (broken / "src/main.mjs").write_text("console.log(1)")
    with pytest.raises(Fault, match="not whole"):
        build_bridge(broken, node_modules, bun, dst, runner=Subprocess())
    (broken / "src/main.mjs").write_text("import './absent.mjs'")
    with pytest.raises(Fault, match="ended with status 1"):
        build_bridge(broken, node_modules, bun, dst, runner=Subprocess())
    assert dst.read_text() == "the one before"


def test_a_path_of_this_machine_in_the_build_is_refused(
    bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    leaky = tmp_path / "bridge"
    shutil.copytree(ROOT / "app/bridge", leaky)
    main = leaky / "src/main.mjs"
    main.write_text(main.read_text() + f"\nconsole.error('{leaky}/src');\n")
    with pytest.raises(Fault, match="paths of this machine"):
        build_bridge(leaky, node_modules, bun, tmp_path / "bridge.js", runner=Subprocess())


# --- running ---------------------------------------------------------------------------------------------


@pytest.fixture
def either(real: Settings, runtime: Path) -> Settings:
    """In Bun and in Node."""
    return dataclasses.replace(real, runtime=runtime)


async def test_text_and_usage(either: Settings, cursor: CursorStandIn) -> None:
    async with running(either) as bridge:
        text, done = await collect(bridge, "[[scenario:usage]]", model=COMPOSER_FAST)
        assert (text, done.usage) == ("counted", Tokens(100, 20, 5, 3))
        assert bridge.runtime is not None
        assert bridge.runtime.kind in str(either.runtime)
    (run,) = cursor.runs
    assert (run.model, run.params, run.key) == ("composer-2.5", {"fast": "true"}, KEY)


async def test_runs_beside_each_other(either: Settings, cursor: CursorStandIn) -> None:
    async with running(either) as bridge:
        texts = [f"{index} [[scenario:echo]]" for index in range(20)]
        answers = await asyncio.gather(*(collect(bridge, text) for text in texts))
        assert [text for text, _ in answers] == texts
        status = await bridge.status()
        assert (status.running, status.stored) == (0, 0)  # nothing of a finished run is kept


async def test_pieces_arrive_as_they_are_said(real: Settings) -> None:
    async with running(real) as bridge:
        await collect(bridge, "warm up")
        times = []
        async for event in bridge.run(Prompt(COMPOSER, "[[scenario:slow count=5 delay=0.2]]", KEY)):
            if isinstance(event, Text):
                times.append(time.monotonic())
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert len(times) == 5
        assert min(gaps) > 0.1


async def test_thinking_is_told_apart(real: Settings) -> None:
    async with running(real) as bridge:
        events = [event async for event in bridge.run(Prompt(COMPOSER, "[[scenario:thinking]]", KEY))]
    assert isinstance(events[0], Thinking)
    assert events[0].text == "Let me think. "


async def test_big_messages_both_ways(real: Settings) -> None:
    async with running(real) as bridge:
        long = "[[scenario:echo]]" + "ü" * 1_500_000
        text, _ = await collect(bridge, long)
        assert text == long


@pytest.mark.parametrize(
    ("scenario", "kind", "retryable"),
    [
        ("rate_limit", "rate_limit", True),
        ("usage_limit", "rate_limit", False),
        ("unavailable", "unavailable", True),
        ("bad_model", "request", False),
        ("unauthenticated", "authentication", False),
        ("http_error status=401", "authentication", False),
        ("http_error status=503", "unavailable", True),
        ("error_midway", "internal", False),
        ("no_turn_end", "unavailable", True),
        ("cut_at_once", "unavailable", True),
        ("garbage", "internal", False),
    ],
)
async def test_failures(real: Settings, scenario: str, kind: str, retryable: bool) -> None:
    async with running(real) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, f"[[scenario:{scenario}]]")
        assert (caught.value.kind, caught.value.retryable) == (kind, retryable)
        assert KEY not in caught.value.message
        assert (await collect(bridge, "still there?"))[0] == "Hello from the stand-in"


async def test_a_bad_key(real: Settings) -> None:
    async with running(real) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, "hi", key="a_bad_key")
        assert caught.value.kind == "authentication"


async def test_a_run_that_takes_too_long(real: Settings, cursor: CursorStandIn) -> None:
    async with running(dataclasses.replace(real, run_timeout_ms=1500)) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, "[[scenario:hang]]")
        assert caught.value.kind == "timeout"
        await until(lambda: cursor.runs[0].client_left)


async def test_leaving_a_run_cancels_it_at_the_backend(either: Settings, cursor: CursorStandIn) -> None:
    async with running(either) as bridge:
        events = bridge.run(Prompt(COMPOSER, "[[scenario:hang]]", KEY))
        assert isinstance(await anext(events), Text)
        await events.aclose()
        await until(lambda: cursor.runs[0].client_left, 1)
        await until_idle(bridge)


async def until_idle(bridge: Bridge) -> None:
    for _ in range(50):
        if (await bridge.status()).running == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a run is left")


async def test_a_bridge_that_dies_fails_its_runs_and_comes_back(either: Settings) -> None:
    async with running(either) as bridge:
        events = bridge.run(Prompt(COMPOSER, "[[scenario:hang]]", KEY))
        await anext(events)
        first = pid(bridge)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(RunFailed) as caught:
            await anext(events)
        assert (caught.value.kind, caught.value.retryable) == ("bridge", True)
        assert (await collect(bridge, "hi"))[0] == "Hello from the stand-in"
        assert pid(bridge) != first


async def test_stopping_ends_the_process(either: Settings) -> None:
    async with running(either) as bridge:
        await collect(bridge, "hi")
        process = pid(bridge)
    assert not alive(process)
    assert bridge.state == "stopped"


def pid(bridge: Bridge) -> int:
    assert bridge._connection is not None
    return bridge._connection.link.process.pid


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_bridge_that_cannot_start_says_why(real: Settings, tmp_path: Path) -> None:
    broken = tmp_path / "bridge.js"
    broken.write_text("console.error('the moon is full'); process.exit(3)")
    async with running(dataclasses.replace(real, bridge_js=broken)) as bridge:
        await until(lambda: bridge.problem)
        assert re.search(r"ended with status 3.*the moon is full", bridge.problem or "")
        assert bridge.state in ("starting", "restarting")


async def test_what_connects_without_the_token_is_no_bridge(real: Settings, tmp_path: Path) -> None:
    impostor = tmp_path / "bridge.js"
    impostor.write_text(
        """
        const net = require('node:net');
        const body = Buffer.from(JSON.stringify({event: 'ready', token: 'guess', runtime: '', version: ''}));
        const head = Buffer.alloc(4); head.writeUInt32BE(body.length);
        const path = process.env.CURSOR_SDK_BRIDGE_SOCKET;
        const s = net.connect(path, () => s.write(Buffer.concat([head, body])));
        s.on('close', () => { console.error('turned away'); process.exit(4); });
        """
    )
    async with running(dataclasses.replace(real, bridge_js=impostor)) as bridge:
        await until(lambda: bridge.problem)
        assert "turned away" in (bridge.problem or "")


async def test_the_process_holds_no_secret_and_nothing_of_the_user(
    real: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_OWN_SECRET", "very secret")
    async with running(real) as bridge:
        await collect(bridge, "hi")
        proc = Path("/proc") / str(pid(bridge))
        if not proc.exists():
            pytest.skip("this system has no /proc")
        seen = (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        assert KEY.encode() not in seen
        assert b"very secret" not in seen
        assert b"PATH=/nonexistent" in seen


async def test_prompts_stay_off_the_disk(real: Settings) -> None:
    async with running(real) as bridge:
        await collect(bridge, "[[scenario:echo]] my very private question")
    kept = [path for path in real.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"my very private question" in path.read_bytes()]
    assert not [path for path in kept if path.suffix == ".db"]


# --- the guard -------------------------------------------------------------------------------------------


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

    def prompt(self, *more: str) -> str:
        arguments = (f"folder={self.folder}", f"secret={self.folder}/secret.txt", *more)
        return f"[[scenario:builtin {' '.join(arguments)}]]"


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
    replies = cursor.runs[1].replies
    assert len(replies) == len(EXEC_KINDS) - 2
    assert {reply.refused for reply in replies} == {replies[0].refused}
    assert "refused: built-in tools are disabled" in (replies[0].refused or "")
    assert sum(status.refusals.values()) == len(replies)
    assert len(cursor.runs) == 2  # no sub-agent either


async def test_without_the_guard_there_is_harm(
    real: Settings, cursor: CursorStandIn, victim: Victim, bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    """The test above can fail: the same requests to a bridge whose guard does nothing have effects."""
    settings = with_guard(real, "alive = () => true", bun, node_modules, tmp_path)
    async with running(settings) as bridge:
        await collect(bridge, "hi")
        with contextlib.suppress(RunFailed, TimeoutError):
            await asyncio.wait_for(collect(bridge, victim.prompt("parallel=1")), 30)
    harm = victim.harm(cursor)
    assert "leak" in harm
    assert "made-write" in harm


async def test_output_past_the_guard_ends_the_run(
    real: Settings, bun: Path, node_modules: Path, tmp_path: Path
) -> None:
    settings = with_guard(real, "alive = () => false", bun, node_modules, tmp_path)
    async with running(settings) as bridge:
        with pytest.raises(RunFailed) as caught:
            await collect(bridge, "hi")
    assert caught.value.kind == "guard"


def with_guard(settings: Settings, alive: str, bun: Path, node_modules: Path, folder: Path) -> Settings:
    """A bridge built with a guard that guards nothing."""
    source = folder / "unguarded"
    shutil.copytree(ROOT / "app/bridge", source)
    (source / "src/guard.mjs").write_text(f"export const {alive}; export const refusals = () => ({{}});")
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


def test_the_stand_in_asks_for_every_kind_the_sdk_knows(node_modules: Path) -> None:
    """A new SDK with a new kind of request must be tested with it too."""
    source = (node_modules / "@cursor/sdk/dist/bundled/index.js").read_text("utf-8")
    found = re.search(r'"agent\.v1\.ExecServerMessage";.*?newFieldList\(\(\)=>\[(.*?)\]\)', source, re.S)
    assert found is not None
    kinds = {int(number) for number in re.findall(r"no:(\d+),[^}]*oneof:\"message\"", found[1])}
    assert kinds == set(EXEC_KINDS)
