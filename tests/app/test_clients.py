"""OpenAI's own clients, Python's and JavaScript's, against the whole server with the real SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from app.settings import Settings
from commands import Subprocess
from tests.app.conftest import KEY, Served, environment_of, served
from tests.app.test_serve import client, ready
from tests.standins.cursor import CursorStandIn

pytestmark = pytest.mark.release

ANSWER = "Hello from the stand-in"
MODEL = "composer-2.5"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
OPENAI_JS = (
    "7.57.0",
    "sha512-RbmrdE5NdfW6nGq/FaCJ3KFCZpotoExPzruQUSMCTw/ouUFO08vpvVdSmgmPxQMFAiv9EXZCEXvcWYU+n6NzsQ==",
)


@pytest.fixture
def server(real: Settings) -> Iterator[Served]:
    with served(environment_of(real)) as running:
        ready(running)
        yield running
        assert running.stop() == 0
        assert not [line for line in running.said if "Traceback" in line]
    log = (real.data_dir / "logs/server.log").read_text()
    assert '"logger":"app.requests"' in log
    assert not [word for word in (KEY, "scenario", "anything", "stand-in") if word in log]


@pytest.fixture
def ai(server: Served) -> openai.OpenAI:
    return client(server)


def say(content: Any) -> list[Any]:
    return [{"role": "user", "content": content}]


def test_responses(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    first = ai.responses.create(model=MODEL, input="hi", instructions="be brief")
    assert (first.output_text, first.status) == (ANSWER, "completed")
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens) == (11, 7)
    second = ai.responses.create(model=MODEL, input="and then?", previous_response_id=first.id)
    assert ai.responses.retrieve(second.id).output_text == ANSWER
    items: list[Any] = list(ai.responses.input_items.list(second.id))
    assert [item.content[0].text for item in items] == ["and then?"]
    assert ai.responses.input_tokens.count(model=MODEL, input="x" * 40).input_tokens == 10
    ai.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        ai.responses.retrieve(second.id)
    with pytest.raises(openai.NotFoundError):
        ai.responses.create(model=MODEL, input="x", previous_response_id=second.id)
    with pytest.raises(openai.BadRequestError, match="background"):
        ai.responses.cancel(first.id)
    assert cursor.runs[0].key != "anything"


def test_responses_streams(ai: openai.OpenAI) -> None:
    with ai.responses.stream(model=MODEL, input="hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == ANSWER
    assert deltas == ["Hello", " from", " the", " stand-in"]
    with pytest.raises(openai.APIError, match="boom"):
        list(ai.responses.create(model=MODEL, input="[[scenario:error_midway]]", stream=True))


def test_chat_streams(ai: openai.OpenAI) -> None:
    with ai.chat.completions.stream(model=MODEL, messages=say("hi")) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        assert stream.get_final_completion().choices[0].message.content == ANSWER
    assert "".join(deltas) == ANSWER


@pytest.mark.parametrize("stream", [False, True])
def test_tools(ai: openai.OpenAI, cursor: CursorStandIn, stream: bool) -> None:
    messages = say("[[scenario:tools for=Paris,Rome]]")
    if stream:
        with ai.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER]) as events:
            message = events.get_final_completion().choices[0].message
    else:
        answer = ai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
        message = answer.choices[0].message  # type: ignore[assignment]
        assert answer.choices[0].finish_reason == "tool_calls"
    calls: Any = message.tool_calls
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.loads(call.function.arguments)["city"]}
        for call in reversed(calls)
    ]
    said = {"role": "assistant", "content": message.content}
    said["tool_calls"] = [  # type: ignore[assignment]
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in calls
    ]
    final = ai.chat.completions.create(model=MODEL, messages=[*messages, said, *results], tools=[WEATHER])  # type: ignore[list-item]
    assert final.choices[0].message.content == "I heard: Paris; Rome"
    assert len(cursor.runs) == 1


def test_pictures(ai: openai.OpenAI, cursor: CursorStandIn) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    ai.chat.completions.create(model=MODEL, messages=say(parts))
    items: Any = say([{"type": "input_text", "text": "and?"}, {"type": "input_image", "image_url": url}])
    ai.responses.create(model=MODEL, input=items)
    assert [run.images for run in cursor.runs] == [(PNG,), (PNG,)]


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"model": "gpt-5"}, openai.NotFoundError, "model_not_found"),
        ({"n": 2}, openai.BadRequestError, "unsupported_parameter"),
        ({"logprobs": True}, openai.BadRequestError, "unsupported_parameter"),
        ({"messages": []}, openai.BadRequestError, "invalid_request_error"),
        ({"messages": say("[[scenario:rate_limit]]")}, openai.RateLimitError, "rate_limit_exceeded"),
        (
            {"messages": say("[[scenario:unauthenticated]]")},
            openai.AuthenticationError,
            "cursor_unauthorized",
        ),
    ],
)
def test_errors_are_typed(
    ai: openai.OpenAI, fields: Any, kind: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        ai.chat.completions.create(**{"model": MODEL, "messages": say("hi"), **fields})
    assert caught.value.code == code
    assert caught.value.request_id


def test_the_javascript_client(server: Served, bun: Path) -> None:
    from release import inputs

    version, digest = OPENAI_JS
    pin = inputs.Pin(name="openai-js", version=version, source="npm", package="openai", digest=digest)
    entry = inputs.Cache().tree(pin, runner=Subprocess()) / "package/index.mjs"
    script = Path(__file__).with_name("openai_client.mjs")
    argv = (str(bun), "--no-install", "--no-env-file", str(script), str(entry), f"{server.url}/v1")
    seen = json.loads(Subprocess().run(argv).stdout)
    assert seen == {
        "models": ["composer-2.5", "composer-2.5-fast"],
        "whole": [ANSWER, "stop", 11],
        "deltas": ["", "Hello", " from", " the", " stand-in", None, None],
        "helper": ANSWER,
        "tools": ["tool_calls", "I heard: in Paris: sun; in Rome: sun"],
        "response": [ANSWER, "completed", 11],
        "chained": True,
        "kept": ANSWER,
        "items": ["and?"],
        "events": [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            *["response.output_text.delta"] * 4,
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
        "final": ANSWER,
        "old": ANSWER,
        "errors": {
            "missing": ["NotFoundError", 404, "not_found"],
            "cancel": ["BadRequestError", 400, "invalid_request_error"],
            "model": ["NotFoundError", 404, "model_not_found"],
            "several": ["BadRequestError", 400, "unsupported_parameter"],
            "limit": ["RateLimitError", 429, "rate_limit_exceeded"],
            "chat": ["APIError", None, "cursor_stream_error"],
            "responses": ["APIError", None, "cursor_stream_error"],
        },
    }
