"""What chat completions and the old completions do with a request, in front of a scripted bridge."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from app.cursor.client import ToolCalls
from app.cursor.conversation import Image, ToolCall, Turn
from app.openai.chat import parse
from app.openai.errors import INVALID, ApiError
from app.openai.images import MAX_IMAGE
from app.server import fetch
from tests.app.conftest import App, Done, Text, Tokens
from tests.app.test_dialect import JSON
from tests.app.test_server import events

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
JPEG = b"\xff\xd8\xff\xe0" + bytes(8)
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = ToolCall("call_1", "look", "{}")
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
OF_SCHEMA = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}


def chat(app: App, **fields: Any) -> Any:
    return app.client.post("/v1/chat/completions", json={"messages": [USER], **fields})


def choice(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(url: Any) -> list[Any]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


# --- pictures ---------------------------------------------------------------------------------------------


def test_pictures_by_their_bytes_not_their_label(app: App) -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": data_url(JPEG, "image/png"), "detail": "low"}},
        {"type": "image_url", "image_url": data_url(PNG)},
    ]
    chat(app, messages=[{"role": "user", "content": parts}])
    (turn,) = app.bridge.prompts[0].turns
    assert turn == Turn("user", "what is this?", (Image(JPEG, "image/jpeg"), Image(PNG, "image/png")))


def test_a_picture_of_a_megabyte_and_not_a_byte_more(app: App) -> None:
    whole = PNG + bytes(MAX_IMAGE - len(PNG))
    assert chat(app, messages=picture(data_url(whole))).status_code == 200
    answer = chat(app, messages=picture(data_url(whole + b"\0")))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "image"


@pytest.mark.parametrize(
    ("url", "param"),
    [
        (data_url(b""), "image"),
        (data_url(b"GIF89a...."), "image"),
        (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "image"),
        ("data:image/png;base64,@@@@", "image"),
        ("data:image/png;base64,A", "image"),
        ("data:image/png,abc", "image"),
        ("data:image/png;base64", "image_url"),
        ("data:image/png;base64," + "A" * (5 * MAX_IMAGE), "image"),
        ("", "image_url"),
        (None, "image_url"),
        (5, "image_url"),
        ("ftp://example.org/a.png", "image_url"),
        ("file:///etc/passwd", "image_url"),
        ("/etc/passwd", "image_url"),
        ("http://", "image_url"),
        ("http://[::1", "image_url"),
        ("http://a:99999/", "image_url"),
        ("http://a:0/", "image_url"),
        ("http://user:pass@example.org/", "image_url"),
        ("http://a/\r\nHost: b", "image_url"),
        ("https://" + "a" * 9000, "image_url"),
    ],
)
def test_bad_pictures(app: App, url: Any, param: str) -> None:
    answer = chat(app, messages=picture(url))
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, INVALID)
    assert not app.bridge.prompts


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a.png", "http://localhost/", "http://[::1]/", "http://10.1.2.3/"]
)
def test_pictures_of_the_own_network_are_refused(app: App, url: str) -> None:
    answer = chat(app, messages=picture(url))
    assert answer.status_code == 400
    assert "private or loopback" in answer.json()["error"]["message"]


def test_a_picture_elsewhere_is_fetched_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def fetched(url: str) -> Image:
        asked.append(url)
        return Image(PNG, "image/png")

    monkeypatch.setattr(fetch, "fetch", fetched)
    url = "https://pictures.example/a.png"
    chat(app, messages=picture(url) * 2)
    assert asked == [url]
    assert [turn.images for turn in app.bridge.prompts[0].turns] == [(Image(PNG, "image/png"),)] * 2


# --- tools ------------------------------------------------------------------------------------------------


def test_a_tool_call_and_its_result(app: App) -> None:
    app.bridge.script = (Text(1, "let me look"), ToolCalls((CALL,)), Done(1, Tokens(1, 1)))
    answer = chat(app, tools=[TOOL])
    ChatCompletion.model_validate(answer.json(), strict=True)
    found = choice(answer)
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] == "let me look"
    (call,) = found["message"]["tool_calls"]
    assert call == {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert app.bridge.prompts[0].tools[0].name == "look"
    result = {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "a tree"}]}
    chat(app, tools=[TOOL], messages=[USER, found["message"], result])
    assert app.bridge.prompts[1].turns == (
        Turn("user", "hi"),
        Turn("assistant", "let me look", calls=(CALL,)),
        Turn("tool", "a tree", call_id="call_1"),
    )


def test_tool_calls_in_a_stream(app: App) -> None:
    app.bridge.script = (ToolCalls((CALL, ToolCall("call_2", "look", "{}"))), Done(1))
    *chunks, done = events(chat(app, tools=[TOOL], stream=True).text)
    assert done == "[DONE]"
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    calls = chunks[1]["choices"][0]["delta"]["tool_calls"]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "call_1"), (1, "call_2")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_without_words_has_no_content(app: App) -> None:
    app.bridge.script = (ToolCalls((CALL,)), Done(1))
    assert choice(chat(app, tools=[TOOL]))["message"]["content"] is None


def test_tool_choice(app: App) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    named = {"type": "function", "function": {"name": "other"}}
    for wanted in ("none", "auto", "required", named):
        chat(app, tools=[TOOL, other], tool_choice=wanted)
    none, auto, required, one = app.bridge.prompts
    assert none.tools == ()
    assert (len(auto.tools), auto.constraints) == (2, "")
    assert "at least one" in required.constraints
    assert [tool.name for tool in one.tools] == ["other"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": {}}, "tools", INVALID),
        ({"tools": "x"}, "tools", INVALID),
        ({"tools": [1]}, "tools[0]", INVALID),
        ({"tools": [{"type": "function"}]}, "tools[0].function", INVALID),
        ({"tools": [TOOL, {"type": "function", "function": {}}]}, "tools[1].function.name", INVALID),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name", INVALID),
        ({"tools": [{"type": "custom"}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": [TOOL, TOOL]}, "tools", INVALID),
        ({"tools": [TOOL], "tool_choice": "x"}, "tool_choice", INVALID),
        ({"tool_choice": "required"}, "tool_choice", INVALID),
        ({"tools": [TOOL], "tool_choice": {"function": {"name": "y"}}}, "tool_choice", INVALID),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls", INVALID),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id", INVALID),
        ({"messages": [{"role": "function", "content": ""}]}, "functions", "unsupported_parameter"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content", INVALID),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls[0].function",
            INVALID,
        ),
        ({"temperature": 3}, "temperature", INVALID),
        ({"temperature": "hot"}, "temperature", INVALID),
        ({"top_p": -1}, "top_p", INVALID),
        ({"max_tokens": 0}, "max_tokens", INVALID),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", INVALID),
        ({"stop": 1}, "stop", INVALID),
        ({"stop": ["a"] * 5}, "stop", INVALID),
        ({"response_format": "json"}, "response_format", INVALID),
        ({"response_format": {"type": "yaml"}}, "response_format.type", INVALID),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", INVALID),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", INVALID),
        ({"background": True}, "background", "unsupported_parameter"),
    ],
)
def test_refused(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(json.dumps({"messages": [USER], **fields}).encode())
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


# --- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_ends_the_answer_and_the_run(app: App, stream: bool) -> None:
    app.bridge.script = (Text(1, "one E"), Text(1, "ND two"), Done(1, Tokens(1, 1)))
    answer = chat(app, stop=["END", "never"], stream=stream)
    if stream:
        *chunks, _ = events(answer.text)
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        finish = chunks[-1]["choices"][0]["finish_reason"]
    else:
        text, finish = choice(answer)["message"]["content"], choice(answer)["finish_reason"]
        assert answer.json()["usage"]["cost"]["estimated"] is True  # nobody waited for the count
    assert (text, finish) == ("one ", "stop")
    assert '"END"' in app.bridge.prompts[0].constraints


def test_what_only_begins_like_a_stop_is_not_lost(app: App) -> None:
    app.bridge.script = (Text(1, "the E"), Text(1, "N"), Done(1))
    assert choice(chat(app, stop="END"))["message"]["content"] == "the EN"


def test_too_long_is_cut(app: App) -> None:
    app.bridge.script = (Text(1, "x" * 30), Text(1, "y"), Done(1))
    found = choice(chat(app, max_tokens=5))
    assert (found["message"]["content"], found["finish_reason"]) == ("x" * 20, "length")


def test_what_just_fits_is_whole(app: App) -> None:
    app.bridge.script = (Text(1, "x" * 20), Done(1))
    assert choice(chat(app, max_tokens=5))["finish_reason"] == "stop"


def test_sampling_is_told_to_the_model(app: App) -> None:
    chat(app, temperature=0.2, top_p=0.5, max_completion_tokens=9, max_tokens=1)
    constraints = app.bridge.prompts[0].constraints
    assert [word for word in ("0.2", "0.5", "9 tokens") if word not in constraints] == []
    chat(app, temperature=1, top_p=1)
    assert app.bridge.prompts[1].constraints == ""


# --- JSON -------------------------------------------------------------------------------------------------


def scripts(app: App, *texts: str) -> None:
    """One answer a run."""
    answers = iter(texts)

    async def run(prompt: Any) -> Any:
        app.bridge.prompts.append(prompt)
        yield Text(1, next(answers))
        yield Done(1, Tokens(10, 2))

    app.bridge.run = run  # type: ignore[method-assign]


def test_json_out_of_a_fence(app: App) -> None:
    scripts(app, '```json\n{"n": 1}\n```')
    answer = chat(app, response_format=OF_SCHEMA)
    assert choice(answer)["message"]["content"] == '{"n": 1}'
    assert '"required":["n"]' in app.bridge.prompts[0].constraints


def test_one_correction(app: App) -> None:
    scripts(app, '{"n": "one"}', '{"n": 1}')
    answer = chat(app, response_format=OF_SCHEMA)
    assert choice(answer)["message"]["content"] == '{"n": 1}'
    assert answer.json()["usage"]["prompt_tokens"] == 20  # both runs are paid for
    first, second = app.bridge.prompts
    assert second.turns[:-1] == (*first.turns, Turn("assistant", '{"n": "one"}'))
    assert "$.n must be of type integer" in second.turns[-1].text


@pytest.mark.parametrize("stream", [False, True])
def test_not_more_than_one_correction(app: App, stream: bool) -> None:
    scripts(app, "no", "never", '{"n": 1}')
    answer = chat(app, response_format={"type": "json_object"}, stream=stream)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "invalid_model_output"
    assert answer.headers["x-should-retry"] == "false"
    assert len(app.bridge.prompts) == 2


@pytest.mark.parametrize("depth", [120, 600, 950, 2000])
def test_json_of_any_depth_is_no_trouble(app: App, depth: int) -> None:
    text = "[" * depth + "]" * depth
    scripts(app, text, text)
    format = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert chat(app, response_format=format).json()["error"]["code"] == "invalid_model_output"


def test_json_streams_in_one_piece_after_the_check(app: App) -> None:
    scripts(app, "[1]", '{"n": 1}')
    *chunks, _ = events(chat(app, response_format={"type": "json_object"}, stream=True).text)
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    assert [text for text in texts if text] == ['{"n": 1}']


def test_json_that_was_cut_is_given_as_it_is(app: App) -> None:
    scripts(app, '{"n": 1234567890}')
    found = choice(chat(app, response_format={"type": "json_object"}, max_tokens=2))
    assert (found["message"]["content"], found["finish_reason"]) == ('{"n": 12', "length")


# --- the old kind -----------------------------------------------------------------------------------------


def test_an_old_completion(app: App) -> None:
    answer = app.client.post("/v1/completions", json={"prompt": "once", "max_tokens": 100})
    found = Completion.model_validate(answer.json(), strict=True)
    assert (found.choices[0].text, found.choices[0].finish_reason) == ("Hello there", "stop")
    streamed = app.client.post("/v1/completions", json={"prompt": ["once"], "stream": True})
    *chunks, done = events(streamed.text)
    assert done == "[DONE]"
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "Hello there"
    for chunk in chunks[:-1]:
        assert chunk["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"suffix": "x"}, "suffix"),
    ],
)
def test_old_completions_refused(app: App, fields: dict[str, Any], param: str) -> None:
    answer = app.client.post("/v1/completions", json={"prompt": "x", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_sessions_by_header(app: App) -> None:
    for name in ("x-session-affinity", "x-opencode-session-id", "x-opencode-session"):
        app.client.post("/v1/chat/completions", json={"messages": [USER]}, headers={name: name})
    chat(app)
    found = [prompt.session for prompt in app.bridge.prompts]
    assert found == ["x-session-affinity", "x-opencode-session-id", "x-opencode-session", None]


FIELDS = st.sampled_from([
    "model", "stream", "stream_options", "n", "tools", "tool_choice", "functions", "modalities", "logprobs",
    "response_format", "stop", "max_tokens", "max_completion_tokens", "temperature", "top_p", "audio",
    "parallel_tool_calls", "prompt", "suffix", "echo", "best_of", "user", "seed",
])  # fmt: skip
PARTS = st.dictionaries(
    st.sampled_from(["type", "text", "image_url", "refusal"]),
    st.sampled_from(["text", "image_url", "input_image", "data:,", "http://127.0.0.1/"]) | JSON,
)
MESSAGES = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "refusal"]),
        st.sampled_from(["user", "assistant", "tool"]) | st.lists(PARTS) | JSON,
    )
)
FORMATS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["json_schema", "json_object", "text"]),
        "json_schema": st.fixed_dictionaries({"name": st.text(), "schema": JSON}),
    }
)


@given(
    fields=st.dictionaries(FIELDS, JSON), messages=MESSAGES | st.just([USER]) | JSON, format=FORMATS | JSON
)
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
def test_any_field_of_any_type_is_answered_or_refused(
    app: App, fields: dict[str, Any], messages: Any, format: Any
) -> None:
    body = {"messages": messages, "prompt": messages, "response_format": format, **fields}
    for path in ("/v1/chat/completions", "/v1/completions"):
        answer = app.client.post(path, json=body)
        if answer.status_code == 200 and not body.get("stream"):
            assert answer.json()["choices"][0]["finish_reason"] in ("stop", "length")
        elif answer.status_code != 200:
            error = answer.json()["error"]
            assert answer.status_code in (400, 404, 502), error
            assert set(error) == {"message", "type", "param", "code"}
            assert answer.status_code != 502 or error["code"] == "invalid_model_output"
