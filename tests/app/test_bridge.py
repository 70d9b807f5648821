"""The bridge for real: the SDK in Bun and in Node, against the stand-in for Cursor's backend."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from app.cursor.client import Bridge, RunFailed
from app.cursor.frames import Text, Thinking, Tokens
from app.cursor.models import COMPOSER_FAST
from app.settings import Settings
from tests.app.bridges import asking, collect, pid, running, until
from tests.app.conftest import KEY
from tests.standins.cursor import CursorStandIn

pytestmark = [pytest.mark.release, pytest.mark.anyio]


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
        assert (status.running, status.parked, status.resting) == (0, 0, 20)


async def test_pieces_arrive_as_they_are_said(real: Settings) -> None:
    async with running(real) as bridge:
        await collect(bridge, "warm up")
        times = []
        async for event in bridge.run(asking("[[scenario:slow count=5 delay=0.2]]")):
            if isinstance(event, Text):
                times.append(time.monotonic())
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert len(times) == 5
        assert min(gaps) > 0.1


async def test_thinking_is_told_apart(real: Settings) -> None:
    async with running(real) as bridge:
        events = [event async for event in bridge.run(asking("[[scenario:thinking]]"))]
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
        events = bridge.run(asking("[[scenario:hang]]"))
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
        events = bridge.run(asking("[[scenario:hang]]"))
        await anext(events)
        first = pid(bridge)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(RunFailed) as caught:
            await anext(events)
        assert (caught.value.kind, caught.value.retryable) == ("bridge", True)
        assert (await collect(bridge, "hi"))[0] == "Hello from the stand-in"
        assert pid(bridge) != first


async def test_what_the_bridge_records_is_logged(real: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.bridge"):
        async with running(real) as bridge:
            await collect(bridge, "hi")
            await until(lambda: any(one.getMessage() == "bridge: run" for one in caplog.records))
    (record,) = (one for one in caplog.records if one.getMessage() == "bridge: run")
    fields = vars(record)["fields"]
    assert fields["end"] == "done" and fields["turns"] == 1 and "log" not in fields


async def test_stopping_ends_the_process(either: Settings) -> None:
    async with running(either) as bridge:
        await collect(bridge, "hi")
        process = pid(bridge)
    assert not alive(process)
    assert bridge.state == "stopped"


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_bridge_that_was_missing_is_waited_for_once_it_is_there(
    real: Settings, tmp_path: Path
) -> None:
    late = tmp_path / "bridge.js"
    async with running(dataclasses.replace(real, bridge_js=late)) as bridge:
        with pytest.raises(RunFailed, match="does not exist"):
            await collect(bridge, "hi")
        assert bridge.state == "missing"
        assert real.bridge_js is not None
        shutil.copyfile(real.bridge_js, late)
        await bridge.restart()
        assert (await collect(bridge, "hi"))[0] == "Hello from the stand-in"


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


async def test_nothing_is_kept_on_the_disk(real: Settings) -> None:
    """Neither prompts, nor state, nor what a runtime makes of the bridge to start faster."""
    async with running(real) as bridge:
        await collect(bridge, "[[scenario:echo]] my very private question")
    assert [path for path in real.data_dir.rglob("*") if path.is_file()] == []
