"""Answers that must be JSON, through the whole chain: OpenAI's client, the server, the real SDK in Bun."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from app.settings import Settings
from tests.app.conftest import environment_of, served
from tests.app.test_serve import client, ready
from tests.standins.cursor import CursorStandIn

pytestmark = pytest.mark.release

MODEL = "composer-2.5"
RIGHT = {"colours": ["red", "green", "blue"]}


class Palette(BaseModel):
    colours: list[str]


@pytest.fixture
def ai(real: Settings) -> Iterator[openai.OpenAI]:
    with served(environment_of(real)) as running:
        ready(running)
        yield client(running)


def ask(forms: str) -> list[Any]:
    return [{"role": "user", "content": f"[[scenario:json forms={forms}]]"}]


@pytest.mark.parametrize(
    ("forms", "turns"),
    [("fits", 1), ("fenced", 1), ("misfit,fits", 2), ("broken,fenced", 2), ("chatty,fits", 2)],
)
def test_a_schema_is_kept(ai: openai.OpenAI, cursor: CursorStandIn, forms: str, turns: int) -> None:
    answer = ai.chat.completions.parse(model=MODEL, messages=ask(forms), response_format=Palette)
    assert answer.choices[0].message.parsed == Palette(**RIGHT)
    assert json.loads(answer.choices[0].message.content or "") == RIGHT
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (10 * turns, 5 * turns)
    assert len(cursor.runs) == turns
    assert "must be valid against this JSON schema (Palette)" in cursor.runs[0].prompt
    # The correction is a further turn of the same conversation, and says no more than is new.
    assert len({run.conversation for run in cursor.runs}) == 1
    for further in cursor.runs[1:]:
        assert "That answer is not what was asked for" in further.prompt
        assert "scenario" not in further.prompt


def test_any_object_will_do_without_a_schema(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    form: Any = {"type": "json_object"}
    answer = ai.chat.completions.create(model=MODEL, messages=ask("misfit"), response_format=form)
    assert json.loads(answer.choices[0].message.content or "") == {"colours": "red, green and blue"}
    assert len(cursor.runs) == 1


def test_one_correction_and_no_more(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ai.chat.completions.parse(model=MODEL, messages=ask("misfit,broken,fits"), response_format=Palette)
    assert (caught.value.status_code, caught.value.code) == (502, "invalid_model_output")
    assert len(cursor.runs) == 2


def test_a_stream_carries_only_the_corrected_answer(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    with ai.chat.completions.stream(
        model=MODEL, messages=ask("misfit,fenced"), response_format=Palette
    ) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        assert stream.get_final_completion().choices[0].message.parsed == Palette(**RIGHT)
    assert json.loads("".join(deltas)) == RIGHT
    assert len(cursor.runs) == 2


def test_responses_keep_a_schema_too(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    asked = ask("broken,fits")
    answer = ai.responses.parse(model=MODEL, input=asked, text_format=Palette)
    assert answer.output_parsed == Palette(**RIGHT)
    # What went wrong at first is no part of what is kept: the conversation goes on from the right answer.
    ai.responses.create(model=MODEL, input="Thank you", previous_response_id=answer.id)
    assert answer.output_text in cursor.runs[2].prompt
    assert "That answer is not" not in cursor.runs[2].prompt
    with ai.responses.stream(model=MODEL, input=ask("chatty,fenced"), text_format=Palette) as stream:
        assert stream.get_final_response().output_parsed == Palette(**RIGHT)
