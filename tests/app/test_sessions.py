"""Sessions: an agent is found again by the conversation it knows, and told only what is new."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from app.cursor.client import Image, RunFailed, Turn
from app.cursor.models import COMPOSER_FAST
from app.settings import Settings
from tests.app.bridges import asking, collect, further, running
from tests.standins.cursor import CursorStandIn

pytestmark = [pytest.mark.release, pytest.mark.anyio]

HELLO = "Hello from the stand-in"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
PICTURE = Image(PNG, "image/png")


async def test_a_further_turn_sends_only_what_is_new(either: Settings, cursor: CursorStandIn) -> None:
    prompt = dataclasses.replace(
        asking("the first"), turns=(Turn("system", "Be brief."), Turn("user", "the first"))
    )
    async with running(either) as bridge:
        answer, _ = await collect(bridge, prompt)
        second = further(prompt, answer, "the second")
        await collect(bridge, second)
        await collect(bridge, further(second, answer, "the third"), constraints="In French.")
        assert (await bridge.status()).resting == 1
    first, *others = cursor.runs
    assert "Be brief." in first.prompt
    assert [run.prompt for run in others] == ["the second", "the third\n\nIn French."]
    assert first.state == 0
    assert all(run.state > 0 for run in others)  # the agent brought what it knows
    assert len({run.conversation for run in cursor.runs}) == 1


async def test_a_shortened_answer_is_known_again(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        await collect(bridge, "hi")
        await collect(bridge, further(asking("hi"), " Hello from", "and?"))
    assert cursor.runs[1].prompt == "and?"


@pytest.mark.parametrize(
    "change",
    [
        {"key": "another_key"},
        {"model": COMPOSER_FAST},
        {"session": "another"},
        {"turns": (Turn("user", "hi!"), Turn("assistant", HELLO), Turn("user", "and?"))},
        {"turns": (Turn("user", "hi"), Turn("assistant", "I never said that"), Turn("user", "and?"))},
        {"turns": (Turn("user", "hi"), Turn("assistant", ""), Turn("user", "and?"))},
        {"turns": (Turn("user", "hi"), Turn("user", HELLO), Turn("user", "and?"))},
        {"turns": (Turn("system", "S"), Turn("user", "hi"), Turn("assistant", HELLO), Turn("user", "and?"))},
        {"turns": (Turn("user", "hi", (PICTURE,)), Turn("assistant", HELLO), Turn("user", "and?"))},
    ],
    ids=["key", "model", "session", "question", "answer", "no answer", "role", "system", "image"],
)  # fmt: skip
async def test_whatever_differs_is_another_conversation(
    real: Settings, cursor: CursorStandIn, change: dict[str, Any]
) -> None:
    async with running(real) as bridge:
        await collect(bridge, "hi")
        await collect(bridge, dataclasses.replace(further(asking("hi"), HELLO, "and?"), **change))
    assert cursor.runs[1].state == 0
    assert "and?" in cursor.runs[1].prompt
    assert cursor.runs[1].prompt != "and?"
    assert cursor.runs[0].conversation != cursor.runs[1].conversation


async def test_sessions_that_say_the_same_stay_apart(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        for session in ("one", "two"):
            await collect(bridge, "hi", session=session)
        for session in ("two", "one"):
            await collect(bridge, further(asking("hi"), HELLO, "and?"), session=session)
    one, two, two_again, one_again = (run.conversation for run in cursor.runs)
    assert (one, two) == (one_again, two_again)
    assert one != two


async def test_a_conversation_that_branches(real: Settings, cursor: CursorStandIn) -> None:
    """Two continuations at once: one agent goes on, the other is new and gets everything."""
    async with running(real) as bridge:
        await collect(bridge, "hi")
        prompts = [further(asking("hi"), HELLO, f"branch {index}") for index in range(2)]
        await asyncio.gather(*(collect(bridge, prompt) for prompt in prompts))
    sent = sorted(cursor.runs[1:], key=lambda run: run.state)
    assert sent[0].state == 0 < sent[1].state
    assert "hi" in sent[0].prompt


async def test_an_agent_whose_run_failed_is_thrown_away(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        await collect(bridge, "hi")
        with pytest.raises(RunFailed):
            await collect(bridge, further(asking("hi"), HELLO, "[[scenario:error_midway]]"))
        assert (await bridge.status()).resting == 0
        await collect(bridge, further(asking("hi"), HELLO, "and?"))
    assert cursor.runs[2].state == 0
    assert HELLO in cursor.runs[2].prompt


async def test_an_agent_whose_run_was_left_is_thrown_away(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        await collect(bridge, "hi")
        events = bridge.run(further(asking("hi"), HELLO, "[[scenario:hang]]"))
        await anext(events)
        await events.aclose()
        await collect(bridge, further(asking("hi"), HELLO, "and?"))
        assert (await bridge.status()).resting == 1
    assert cursor.runs[2].state == 0


async def test_agents_that_rest_are_few(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        for index in range(50):
            await collect(bridge, f"question {index}")
        status = await bridge.status()
        assert status.resting == 32
        assert status.stored < 32 * 6
        await collect(bridge, further(asking("question 49"), HELLO, "and?"))
        await collect(bridge, further(asking("question 0"), HELLO, "and?"))
    assert [bool(run.state) for run in cursor.runs[-2:]] == [True, False]


@pytest.mark.parametrize(("times", "runs"), [(1, 2), (2, 3), (3, 3)])
async def test_what_may_be_tried_again_is(
    real: Settings, cursor: CursorStandIn, times: int, runs: int
) -> None:
    async with running(real) as bridge:
        try:
            text, _ = await collect(bridge, f"[[scenario:flaky times={times}]]")
        except RunFailed as failure:
            assert times == 3
            assert (failure.kind, failure.retryable) == ("unavailable", True)
        else:
            assert (times < 3, text) == (True, HELLO)
        assert (await bridge.status()).resting == int(times < 3)
    assert len(cursor.runs) == runs


@pytest.mark.parametrize("scenario", ["unauthenticated", "usage_limit", "bad_model", "no_turn_end", "cut"])
async def test_what_may_not_be_tried_again_is_not(
    real: Settings, cursor: CursorStandIn, scenario: str
) -> None:
    """Nor anything once there was output: no_turn_end and cut have said something."""
    async with running(real) as bridge:
        with pytest.raises(RunFailed):
            await collect(bridge, f"[[scenario:{scenario}]]")
    assert len(cursor.runs) == 1


async def test_a_further_turn_that_is_tried_again_sends_everything(
    real: Settings, cursor: CursorStandIn
) -> None:
    async with running(real) as bridge:
        await collect(bridge, "hi")
        await collect(bridge, further(asking("hi"), HELLO, "[[scenario:flaky]]"))
    _, first, second = cursor.runs
    assert (bool(first.state), second.state) == (True, 0)
    assert "hi" in second.prompt


async def test_images_reach_the_backend(either: Settings, cursor: CursorStandIn) -> None:
    prompt = dataclasses.replace(
        asking("x"), turns=(Turn("user", "What is this?", (PICTURE, PICTURE)),)
    )  # fmt: skip
    async with running(either) as bridge:
        answer, _ = await collect(bridge, prompt)
        await collect(bridge, further(prompt, answer, "and?"))
    first, second = cursor.runs
    assert first.images == (PNG, PNG)
    assert first.prompt == "What is this?"
    assert (second.images, second.prompt) == ((), "and?")


async def test_images_of_a_whole_conversation_are_told_apart(real: Settings, cursor: CursorStandIn) -> None:
    turns = (
        Turn("user", "one", (PICTURE,)),
        Turn("assistant", "ok"),
        Turn("user", "two", (Image(PNG + b"2", "image/png"),)),
    )
    async with running(real) as bridge:
        await collect(bridge, dataclasses.replace(asking("x"), turns=turns))
    (run,) = cursor.runs
    assert run.images == (PNG, PNG + b"2")
    assert "one\n[image 1]" in run.prompt
    assert "two\n[image 2]" in run.prompt
