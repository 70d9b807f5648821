from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cursor.models import COMPOSER
from app.openai import sse
from app.openai.chat import Request, parse
from app.openai.completion import Answer
from app.openai.errors import INVALID, ApiError
from app.openai.messages import Message
from app.openai.usage import Usage, chat_usage, estimate

USER = {"role": "user", "content": "hi"}


def body(**fields: Any) -> bytes:
    return json.dumps({"messages": [USER], **fields}).encode()


def test_a_plain_request() -> None:
    assert parse(body(model="composer-2.5")) == Request("composer-2.5", (Message("user", "hi"),))


def test_parts_roles_and_streaming() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": parts}]
    request = parse(body(messages=messages, stream=True, stream_options={"include_usage": True}))
    assert request.messages == (Message("system", "be brief"), Message("user", "ab"))
    assert request.stream
    assert request.include_usage


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"n": None},
        {"tools": []},
        {"logprobs": False},
        {"modalities": ["text"]},
        {"temperature": 0.2, "top_p": 1, "max_tokens": 5, "stop": ["x"], "user": "u", "seed": 1},
    ],
)
def test_accepted(fields: dict[str, Any]) -> None:
    assert parse(body(**fields)).messages


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"n": True}, "n", "unsupported_parameter"),
        ({"n": "1"}, "n", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"top_logprobs": 0}, "logprobs", "unsupported_parameter"),
        ({"audio": {}}, "audio", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
        ({"functions": []}, "functions", "unsupported_parameter"),
        ({"tools": [{}]}, "tools[0].function", INVALID),
        ({"model": 5}, "model", INVALID),
        ({"stream": "yes"}, "stream", INVALID),
        ({"stream_options": 1}, "stream_options", INVALID),
        ({"messages": None}, "messages", INVALID),
        ({"messages": {}}, "messages", INVALID),
        ({"messages": []}, "messages", INVALID),
        ({"messages": ["hi"]}, "messages[0]", INVALID),
        ({"messages": [USER, {"role": "alien"}]}, "messages[1].role", INVALID),
        ({"messages": [{"role": ["user"], "content": ""}]}, "messages[0].role", INVALID),
        ({"messages": [{"role": "user"}]}, "messages[0].content", INVALID),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]", INVALID),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages[0].content[0].type",
            "unsupported_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
            INVALID,
        ),
    ],
)
def test_refused(fields: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        parse(body(**fields))
    error = caught.value
    assert (error.status, error.type, error.param, error.code) == (400, "invalid_request_error", param, code)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a":1}x', b"[" * 100_000, b'"\xc3\x28"'])
def test_not_json(data: bytes) -> None:
    with pytest.raises(ApiError, match="Invalid JSON in request body"):
        parse(data)


@pytest.mark.parametrize("depth", [150, 250, 900, 970, 100_000])
def test_nesting_is_bounded(depth: int) -> None:
    data = b'{"messages":[{"role":"user","content":"x"}],"user":' + b"[" * depth + b"]" * depth + b"}"
    if depth < 200:
        assert parse(data).messages
    else:
        with pytest.raises(ApiError, match=r"nested deeper|Invalid JSON"):
            parse(data)


def test_not_an_object() -> None:
    with pytest.raises(ApiError) as caught:
        parse(b"[]")
    assert caught.value.param == "body"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["model", "messages", "stream", "stream_options", "n", "tools", "functions", "modalities", "logprobs"]
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.just("user") | JSON, "content": JSON | st.lists(JSON)}), min_size=1
)


@given(fields=st.dictionaries(FIELDS, JSON), messages=MESSAGES | st.just([USER]))
def test_any_field_of_any_type_is_read_or_refused(fields: dict[str, Any], messages: list[Any]) -> None:
    try:
        request = parse(json.dumps({"messages": messages, **fields}).encode())
    except ApiError as error:
        assert error.status == 400
        assert error.message
        assert json.loads(json.dumps(error.body()))["error"]["type"] == "invalid_request_error"
    else:
        assert request.messages


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(ApiError):
        parse(data)


def test_estimates() -> None:
    assert estimate(0, 5) == Usage(1, 2, estimated=True)


def test_usage_with_cost() -> None:
    usage = chat_usage(Usage(1000, 100, cached=30, reasoning=7), COMPOSER.price)
    assert usage["total_tokens"] == 1100
    assert usage["prompt_tokens_details"]["cached_tokens"] == 30
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 7
    assert usage["cost"]["total_usd"] == 0.00075
    assert usage["cost"]["currency"] == "USD"
    assert usage["cost"]["estimated"] is False


def test_events() -> None:
    assert sse.event({"a": "ü\n"}) == 'data: {"a":"ü\\n"}\n\n'.encode()
    assert sse.event({}, "error") == b"event: error\ndata: {}\n\n"


def test_bodies_are_what_the_official_client_expects() -> None:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    answer = Answer("chatcmpl-1", 1, "composer-2.5")
    usage = chat_usage(Usage(1, 1), COMPOSER.price)
    whole = ChatCompletion.model_validate(answer.whole("hello", (), "stop", usage), strict=True)
    assert whole.choices[0].message.content == "hello"
    chunks = (answer.opening(), answer.text("x"), answer.closing("stop"), answer.usage(usage))
    for chunk in chunks:
        assert ChatCompletionChunk.model_validate(chunk, strict=True).id == "chatcmpl-1"
