"""A client's tools: the run is suspended while the client works, and goes on with the results."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal

import pytest

from app.cursor.client import Bridge, Prompt, RunFailed, Text, ToolCall, Turn
from app.cursor.conversation import Image
from app.cursor.frames import Tokens
from app.cursor.models import COMPOSER_FAST
from app.settings import Settings
from tests.app.bridges import WEATHER, answered, asking, called, collect, pid, running, until
from tests.app.test_clients import PNG
from tests.standins.cursor import CursorStandIn

pytestmark = [pytest.mark.release, pytest.mark.anyio]


def weather(marks: str = "for=Paris") -> Prompt:
    return dataclasses.replace(asking(f"[[scenario:tools {marks}]]"), tools=(WEATHER,))


def cities(calls: tuple[ToolCall, ...]) -> list[str]:
    return [json.loads(call.arguments)["city"] for call in calls]


async def test_one_call(either: Settings, cursor: CursorStandIn) -> None:
    async with running(either) as bridge:
        text, calls = await called(bridge, weather())
        (call,) = calls
        assert text == "Let me look. "
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris", "n": [1, None]})
        status = await bridge.status()
        assert (status.running, status.parked, status.resting) == (0, 1, 0)
        text, done = await collect(bridge, answered(weather(), calls, ["sunny, 21°"]))
        assert (text, done.usage) == ("I heard: sunny, 21°", Tokens(100, 20, 5, 3))
        status = await bridge.status()
        assert (status.running, status.parked, status.resting) == (0, 0, 1)
    (run,) = cursor.runs  # the same one went on
    assert run.tools == ("custom-user-tools-get_weather",)


@pytest.mark.parametrize("marks", ["", " quiet=1", " gap=0.02", " gap=0.3"])
async def test_several_calls_answered_in_any_order(real: Settings, cursor: CursorStandIn, marks: str) -> None:
    """Announced or not, in one burst or one after the other: they come together."""
    prompt = weather("for=Paris,Rome,Oslo" + marks)
    async with running(real) as bridge:
        _, calls = await called(bridge, prompt)
        assert cities(calls) == ["Paris", "Rome", "Oslo"]
        assert len({call.id for call in calls}) == 3
        backwards = [ToolCall(call.id, call.name, call.arguments) for call in reversed(calls)]
        text, _ = await collect(bridge, answered(prompt, backwards, cities(tuple(backwards))))
        assert text == "I heard: Paris; Rome; Oslo"
    assert len(cursor.runs) == 1


async def test_a_call_that_comes_while_the_client_works(real: Settings, cursor: CursorStandIn) -> None:
    """Unannounced and late: the client gets it with the next answer."""
    prompt = weather("for=Paris,Rome gap=0.4 quiet=1")
    async with running(real) as bridge:
        _, first = await called(bridge, prompt)
        assert cities(first) == ["Paris"]
        await asyncio.sleep(0.6)
        then = answered(prompt, first, ["sunny"])
        _, second = await called(bridge, then)
        assert cities(second) == ["Rome"]
        text, _ = await collect(bridge, answered(then, second, ["rainy"]))
        assert text == "I heard: sunny; rainy"
    assert len(cursor.runs) == 1


async def test_calls_turn_after_turn(real: Settings, cursor: CursorStandIn) -> None:
    prompt = weather("for=Paris again=Rome")
    async with running(real) as bridge:
        _, first = await called(bridge, prompt)
        then = answered(prompt, first, ["sunny"], "Let me look. ")
        text, second = await called(bridge, then)
        assert (text, cities(second)) == ("", ["Rome"])
        end = answered(then, second, ["rainy"])
        text, _ = await collect(bridge, end)
        assert text == "I heard: sunny; rainy"
        more = dataclasses.replace(end, turns=(*end.turns, Turn("assistant", text), Turn("user", "thanks")))
        assert (await collect(bridge, more))[0] == "Hello from the stand-in"
    assert [run.prompt for run in cursor.runs[1:]] == ["thanks"]  # the agent knew all the rest


async def test_many_suspended_runs_do_not_mix(real: Settings, cursor: CursorStandIn) -> None:
    names = [f"City{index}" for index in range(12)]
    async with running(real) as bridge:
        prompts = [weather(f"for={name}") for name in names]
        told = await asyncio.gather(*(called(bridge, prompt) for prompt in prompts))
        assert (await bridge.status()).parked == 12
        answers = await asyncio.gather(
            *(
                collect(bridge, answered(prompt, calls, [f"result of {cities(calls)[0]}"]))
                for prompt, (_, calls) in reversed(list(zip(prompts, told, strict=True)))
            )
        )
    assert [text for text, _ in answers] == [f"I heard: result of {name}" for name in reversed(names)]


async def test_a_missing_result_is_said_to_be_missing(real: Settings) -> None:
    prompt = weather("for=Paris,Rome")
    async with running(real) as bridge:
        _, calls = await called(bridge, prompt)
        next_prompt = answered(prompt, calls, ["sunny", "never sent"])
        partly = dataclasses.replace(next_prompt, turns=next_prompt.turns[:-1])
        text, _ = await collect(bridge, partly)
    assert text == "I heard: sunny; The client gave no result for this call."


async def test_results_that_come_too_late_start_a_new_run(real: Settings, cursor: CursorStandIn) -> None:
    async with running(dataclasses.replace(real, park_ms=300)) as bridge:
        _, calls = await called(bridge, weather())
        await until(lambda: cursor.runs[0].client_left, 3)  # it was cancelled at the backend
        assert (await bridge.status()).parked == 0
        await as_text(bridge, cursor, calls)


async def test_results_after_a_restart_start_a_new_run(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        _, calls = await called(bridge, weather())
        os.kill(pid(bridge), signal.SIGKILL)
        await until(lambda: bridge.state != "ready")
        await as_text(bridge, cursor, calls)


async def as_text(bridge: Bridge, cursor: CursorStandIn, calls: tuple[ToolCall, ...]) -> None:
    prompt = answered(asking("How is it in Paris?"), calls, ["sunny, 21°"], "Let me look.")
    text, _ = await collect(bridge, prompt)
    assert text == "Hello from the stand-in"
    sent = cursor.runs[-1].prompt
    assert len(cursor.runs) == 2
    for words in ("How is it in Paris?", "Let me look.", "get_weather", '"city":"Paris"', "sunny, 21°"):
        assert words in sent


async def test_results_sent_twice(real: Settings, cursor: CursorStandIn) -> None:
    """The first takes the run; the second is a conversation like any other."""
    async with running(real) as bridge:
        _, calls = await called(bridge, weather())
        prompt = answered(asking("How is it?"), calls, ["sunny"])
        texts = [text for text, _ in await asyncio.gather(*(collect(bridge, prompt) for _ in range(2)))]
    assert sorted(texts) == ["Hello from the stand-in", "I heard: sunny"]


async def test_a_client_that_goes_on_with_something_else(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        _, calls = await called(bridge, weather())
        prompt = answered(asking("How is it?"), calls, ["sunny"])
        other = dataclasses.replace(prompt, turns=(*prompt.turns, Turn("user", "Never mind. Hi!")))
        assert (await collect(bridge, other))[0] == "Hello from the stand-in"
        await until(lambda: cursor.runs[0].client_left, 1)
        assert (await bridge.status()).parked == 0
    assert "Never mind. Hi!" in cursor.runs[1].prompt


async def test_a_picture_behind_the_results_belongs_to_them(real: Settings, cursor: CursorStandIn) -> None:
    """As agents send what a tool gave, if it is a picture: in a user's turn of its own."""
    prompt = weather("for=Paris,Rome")
    async with running(real) as bridge:
        _, calls = await called(bridge, prompt)
        given = answered(prompt, calls, ["sunny", "see below"])
        picture = Turn("user", "Images of the results:", images=(Image(PNG, "image/png"),))
        text, _ = await collect(bridge, dataclasses.replace(given, turns=(*given.turns, picture)))
        assert text.rstrip() == "I heard: sunny; see below\n\nImages of the results:"
    (run,) = cursor.runs
    assert [PNG in reply.data for reply in run.replies] == [False, True]


async def test_results_for_another_model_start_a_run_of_that(real: Settings, cursor: CursorStandIn) -> None:
    """It is what the answer says it is of, and what it is priced as."""
    async with running(real) as bridge:
        _, calls = await called(bridge, weather())
        prompt = answered(asking("How is it?"), calls, ["sunny"])
        assert (await collect(bridge, prompt, model=COMPOSER_FAST))[0] == "Hello from the stand-in"
        await until(lambda: cursor.runs[0].client_left, 1)
    assert [run.params for run in cursor.runs] == [{"fast": "false"}, {"fast": "true"}]


async def test_another_key_gets_nothing_of_a_suspended_run(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        _, calls = await called(bridge, weather())
        prompt = answered(asking("How is it?"), calls, ["mine now"])
        text, _ = await collect(bridge, prompt, key="key_of_somebody_else")
        assert text == "Hello from the stand-in"
        assert (await bridge.status()).parked == 1
        assert (await collect(bridge, answered(weather(), calls, ["sunny"])))[0] == "I heard: sunny"


async def test_leaving_a_resumed_run_cancels_it(real: Settings, cursor: CursorStandIn) -> None:
    prompt = weather("for=Paris linger=1")
    async with running(real) as bridge:
        _, calls = await called(bridge, prompt)
        events = bridge.run(answered(prompt, calls, ["sunny"]))
        assert isinstance(await anext(events), Text)
        await events.aclose()
        await until(lambda: cursor.runs[0].client_left, 1)


async def test_a_suspended_run_that_fails_at_the_backend(real: Settings, cursor: CursorStandIn) -> None:
    async with running(real) as bridge:
        _, calls = await called(bridge, weather("for=Paris lost=0.3"))
        await until(lambda: cursor.runs[0].ended)
        text, _ = await collect(bridge, answered(asking("How is it?"), calls, ["sunny"]))
        assert text == "Hello from the stand-in"
        assert (await bridge.status()).parked == 0
    assert "sunny" in cursor.runs[1].prompt


async def test_the_time_of_the_client_does_not_count(real: Settings) -> None:
    """Meanwhile the SDK tells the backend, every 3 seconds, that the call goes on."""
    async with running(real) as bridge:
        await collect(bridge, "hi")  # the first takes longest
        bridge.settings = dataclasses.replace(real, run_timeout_ms=3000)
        _, calls = await called(bridge, weather())
        await asyncio.sleep(3.5)
        assert (await collect(bridge, answered(weather(), calls, ["sunny"])))[0] == "I heard: sunny"


async def test_a_tool_the_client_did_not_offer(real: Settings) -> None:
    async with running(real) as bridge:
        text, _ = await collect(bridge, weather("for=Paris tool=rm_rf"))
    assert text.startswith("Let me look. I heard: ")


async def test_tools_by_awkward_names(real: Settings) -> None:
    names = ("__proto__", "constructor", "a" * 64, "with-dash_and_9")
    async with running(real) as bridge:
        for name in names:
            prompt = dataclasses.replace(
                weather(f"for=Paris tool={name}"), tools=(dataclasses.replace(WEATHER, name=name),)
            )
            _, (call,) = await called(bridge, prompt)
            assert call.name == name
            assert (await collect(bridge, answered(prompt, (call,), ["ok"])))[0] == "I heard: ok"


async def test_a_run_that_is_stopped_before_its_calls_are_told(real: Settings, cursor: CursorStandIn) -> None:
    async with running(dataclasses.replace(real, run_timeout_ms=2000)) as bridge:
        with pytest.raises(RunFailed) as caught:
            await called(bridge, weather("for=Paris,Rome gap=4"))
        assert caught.value.kind == "timeout"
        await until(lambda: cursor.runs and cursor.runs[0].client_left)
