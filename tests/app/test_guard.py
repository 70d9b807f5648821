"""No built-in tool of the model's runs on this machine: the guard, tried with every kind of request."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from app.cursor.client import RunFailed
from app.settings import Settings
from commands import Subprocess
from release.bundle.bridge import build_bridge
from tests.app.bridges import collect, running
from tests.app.conftest import ROOT
from tests.standins.cursor import CursorStandIn
from tests.standins.cursor_messages import EXEC_KINDS

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
    settings = with_guard(real, "vouch = () => true", bun, node_modules, tmp_path)
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


def test_the_stand_in_asks_for_every_kind_the_sdk_knows(node_modules: Path) -> None:
    """A new SDK with a new kind of request must be tested with it too."""
    source = (node_modules / "@cursor/sdk/dist/bundled/index.js").read_text("utf-8")
    found = re.search(r'"agent\.v1\.ExecServerMessage";.*?newFieldList\(\(\)=>\[(.*?)\]\)', source, re.S)
    assert found is not None
    kinds = {int(number) for number in re.findall(r"no:(\d+),[^}]*oneof:\"message\"", found[1])}
    assert kinds == set(EXEC_KINDS)
