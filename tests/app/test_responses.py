from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from app.cursor.client import RunFailed, ToolCalls
from app.cursor.conversation import ToolCall, Turn
from app.openai.errors import INVALID, ApiError
from app.openai.responses import parse
from app.server.store import Kept, Responses
from tests.app.conftest import App, Done, Text, Thinking
from tests.app.test_dialect import JSON

ASK = {"model": "composer-2.5", "input": "hi"}
CALL = ToolCall("call_1", "look", '{"place":"here"}')
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def told(text: str) -> list[Any]:
    """The events' data; each is named by its type."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value.get('type', 'error')}"
        found.append(value)
    return found


def test_a_response(app: App) -> None:
    answer = app.client.post(
        "/v1/responses", json={**ASK, "instructions": "be brief", "metadata": {"a": "b"}}
    )
    body = answer.json()
    response = Response.model_validate(body, strict=True)
    assert response.output_text == "Hello there"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (15, 2)
    assert body["usage"]["cost"]["total_usd"] > 0
    assert (response.status, response.metadata, response.instructions) == (
        "completed",
        {"a": "b"},
        "be brief",
    )
    (prompt,) = app.bridge.prompts
    assert prompt.turns == (Turn("system", "be brief"), Turn("user", "hi"))
    assert prompt.session == response.id


def test_a_stream_of_events(app: App) -> None:
    app.bridge.script = (Thinking(1, "hm"), Text(1, "Hel"), Text(1, "lo"), Done(1))
    answer = app.client.post("/v1/responses", json={**ASK, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = told(answer.text)
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        EVENT.validate_python(event, strict=True)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"
    assert events[-1]["response"]["usage"]["cost"]["estimated"] is True
    assert "[DONE]" not in answer.text


def test_a_stream_that_breaks(app: App) -> None:
    app.bridge.script = (Text(1, "Hel"), RunFailed("internal", "boom"))
    answer = app.client.post("/v1/responses", json={**ASK, "stream": True})
    *_, failed, error = told(answer.text)
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert error["error"]["code"] == "cursor_stream_error"
    assert len(app.client.app.state.server.responses) == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True])
def test_failures_have_a_status(app: App, stream: bool) -> None:
    app.bridge.script = (RunFailed("rate_limit", "slow"),)
    assert app.client.post("/v1/responses", json={**ASK, "stream": stream}).status_code == 429


def test_a_conversation_goes_on(app: App) -> None:
    first = app.client.post("/v1/responses", json={**ASK, "instructions": "for this one only"}).json()
    again = {"input": [{"role": "user", "content": "and?"}], "previous_response_id": first["id"]}
    second = app.client.post("/v1/responses", json=again).json()
    third = app.client.post("/v1/responses", json={**again, "previous_response_id": second["id"]}).json()
    told_second, told_third = app.bridge.prompts[1:]
    assert told_second.turns == (Turn("user", "hi"), Turn("assistant", "Hello there"), Turn("user", "and?"))
    assert told_third.turns[:3] == told_second.turns
    assert {told_second.session, told_third.session} == {first["id"]}
    assert third["previous_response_id"] == second["id"]
    assert app.client.get(f"/v1/responses/{second['id']}").json() == second


def test_a_session_header_wins(app: App) -> None:
    app.client.post("/v1/responses", json=ASK, headers={"x-opencode-session": "o", "x-session-affinity": "a"})
    assert app.bridge.prompts[0].session == "a"


def test_what_is_not_stored_is_gone(app: App) -> None:
    kept = app.client.post("/v1/responses", json=ASK).json()["id"]
    lost = app.client.post("/v1/responses", json={**ASK, "store": False}).json()
    assert lost["store"] is False
    assert app.bridge.prompts[1].session is None
    assert app.client.get(f"/v1/responses/{lost['id']}").status_code == 404
    assert app.client.head(f"/v1/responses/{kept}").status_code == 200
    again = app.client.get(f"/v1/responses/{kept}", params={"stream": "true"}).json()
    assert again["error"]["code"] == "unsupported_parameter"
    assert app.client.delete(f"/v1/responses/{kept}").json() == {
        "id": kept,
        "object": "response",
        "deleted": True,
    }
    for answer in (
        app.client.get(f"/v1/responses/{kept}"),
        app.client.delete(f"/v1/responses/{kept}"),
        app.client.get(f"/v1/responses/{kept}/input_items"),
        app.client.post("/v1/responses", json={**ASK, "previous_response_id": kept}),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
    assert answer.json()["error"]["param"] == "previous_response_id"


def test_input_items(app: App) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    id = app.client.post("/v1/responses", json={"input": items}).json()["id"]
    url = f"/v1/responses/{id}/input_items"
    everything = app.client.get(url, params={"order": "asc"}).json()
    assert [item["content"][0]["text"] for item in everything["data"]] == list("01234")
    assert everything["has_more"] is False
    page = app.client.get(url, params={"limit": 2}).json()
    assert [item["content"][0]["text"] for item in page["data"]] == ["4", "3"]
    assert page["has_more"] is True
    following = app.client.get(url, params={"limit": 3, "after": page["last_id"]}).json()
    assert [item["content"][0]["text"] for item in following["data"]] == ["2", "1", "0"]
    for params in ({"limit": "0"}, {"limit": "²"}, {"limit": "x"}, {"order": "up"}, {"after": "nobody"}):
        assert app.client.get(url, params=params).status_code == 400


def test_cancel_is_for_the_background(app: App) -> None:
    answer = app.client.post("/v1/responses/resp_1/cancel")
    assert answer.status_code == 400
    assert "background" in answer.json()["error"]["message"]


def test_input_tokens(app: App) -> None:
    url = "/v1/responses/input_tokens"
    first = app.client.post("/v1/responses", json={"input": "x" * 8}).json()
    counted = app.client.post(url, json={"input": "x" * 40, "instructions": "y" * 4})
    assert counted.json() == {"object": "response.input_tokens", "input_tokens": 11}
    after = app.client.post(url, json={"input": "x" * 4, "previous_response_id": first["id"]}).json()
    assert after["input_tokens"] == 6  # "xxxxxxxx", "Hello there", "xxxx"
    assert app.client.post(url, json={}).json()["input_tokens"] == 1
    assert app.client.post(url, json={"model": "gpt-5"}).status_code == 404
    assert len(app.bridge.prompts) == 1


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": [LOOK]}, "tools", "unsupported_parameter"),
        ({"tools": {}}, "tools", "unsupported_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"background": 0}, "background", "unsupported_parameter"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"top_logprobs": 2}, "logprobs", "unsupported_parameter"),
        ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
        ({"audio": {}}, "audio", "unsupported_parameter"),
        ({"conversation": "c"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"input": None}, "input", INVALID),
        ({"input": []}, "input", INVALID),
        ({"input": 5}, "input", INVALID),
        ({"input": ["x"]}, "input[0]", INVALID),
        ({"input": [{"role": "user"}]}, "input[0].content", INVALID),
        ({"input": [{"role": "tool", "content": ""}]}, "input[0].role", INVALID),
        ({"input": [{"type": "reasoning"}]}, "input", INVALID),
        ({"input": [{"type": "function_call"}]}, "input[0].type", "unsupported_parameter"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "unsupported_parameter"),
        ({"input": [{"type": ["message"]}]}, "input[0].type", "unsupported_parameter"),
        ({"instructions": 1}, "instructions", INVALID),
        ({"store": "yes"}, "store", INVALID),
        ({"previous_response_id": 1}, "previous_response_id", INVALID),
        ({"metadata": {"a": 1}}, "metadata", INVALID),
        ({"text": []}, "text", INVALID),
        ({"text": {"format": 1}}, "text.format", INVALID),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", INVALID),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name", INVALID),
        ({"max_output_tokens": 0}, "max_output_tokens", INVALID),
        ({"max_output_tokens": True}, "max_output_tokens", INVALID),
        ({"truncation": "some"}, "truncation", INVALID),
    ],
)
def test_refused(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(json.dumps({**ASK, **fields}).encode())
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


def test_tools_when_they_are_let_in(tools: App) -> None:
    tools.bridge.script = (Text(1, "wait"), ToolCalls((CALL,)), Done(1))
    first = tools.client.post("/v1/responses", json={**ASK, "tools": [LOOK], "store": True}).json()
    response = Response.model_validate(first, strict=True)
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert tools.bridge.prompts[0].tools[0].name == "look"
    result = {"type": "function_call_output", "call_id": "call_1", "output": "a tree"}
    again = {"input": [result], "previous_response_id": first["id"], "tools": [LOOK]}
    tools.client.post("/v1/responses", json=again)
    assert tools.bridge.prompts[1].turns == (
        Turn("user", "hi"),
        Turn("assistant", "wait", calls=(CALL,)),
        Turn("tool", "a tree", call_id="call_1"),
    )


def test_tool_calls_in_a_stream(tools: App) -> None:
    free = ToolCall("call_2", "patch", '{"input":"*** go"}')
    tools.bridge.script = (ToolCalls((CALL, free)), Done(1))
    offered = [LOOK, {"type": "custom", "name": "patch"}, {"type": "web_search"}]
    answer = tools.client.post("/v1/responses", json={**ASK, "tools": offered, "stream": True})
    events = told(answer.text)
    for event in events:
        EVENT.validate_python(event)
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "custom_tool_call"]
    assert output[1]["input"] == "*** go"
    assert [tool.name for tool in tools.bridge.prompts[0].tools] == ["look", "patch"]


def test_history_in_the_input(tools: App) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "look"}]},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": CALL.arguments},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "patch", "input": "p"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [{"type": "input_text", "text": "x"}],
        },
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    ]
    tools.client.post("/v1/responses", json={"input": items})
    assert tools.bridge.prompts[0].turns == (
        Turn("user", "look"),
        Turn("assistant", "ok", calls=(CALL, ToolCall("call_2", "patch", '{"input":"p"}'))),
        Turn("tool", "x", call_id="call_1"),
        Turn("tool", "done", call_id="call_2"),
    )


def test_too_long_is_incomplete(app: App) -> None:
    body = app.client.post("/v1/responses", json={**ASK, "max_output_tokens": 2}).json()
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["output"][0]["content"][0]["text"] == "Hello th"


def kept(number: int, size: int) -> Kept:
    return Kept(f"r{number}", {}, (), (), "s", size)


def test_the_store_keeps_the_newest() -> None:
    store = Responses(most=512)
    for number in range(600):
        store.put(kept(number, 1))
    assert len(store) == store.size == 512
    assert store.get("r88").id == "r88"
    with pytest.raises(ApiError):
        store.get("r87")


def test_the_store_is_bounded_in_bytes() -> None:
    store = Responses(most_bytes=100)
    for number in range(10):
        store.put(kept(number, 30))
    assert len(store) == 3
    store.put(kept(10, 1000))
    assert len(store) == 1
    store.delete("r10")
    assert store.size == 0


FIELDS = st.sampled_from([
    "model", "input", "instructions", "previous_response_id", "store", "stream", "text", "tools", "user",
    "tool_choice", "max_output_tokens", "temperature", "top_p", "metadata", "truncation", "reasoning", "n",
    "background", "parallel_tool_calls", "top_logprobs", "include", "stop", "max_tool_calls",
])  # fmt: skip
KINDS = st.sampled_from(["message", "function_call", "function_call_output", "custom_tool_call", "reasoning"])
ITEMS = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "output", "call_id", "name", "arguments", "input", "id"]),
        st.sampled_from(["user", "assistant", "x"]) | JSON | st.lists(JSON),
    ).flatmap(lambda item: KINDS.map(lambda kind: {"type": kind, **item}))
)


@given(fields=st.dictionaries(FIELDS, JSON), items=ITEMS | JSON)
@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
def test_any_field_of_any_type_is_answered_or_refused(tools: App, fields: dict[str, Any], items: Any) -> None:
    for body in ({"input": items, **fields}, {"input": "hi", **fields}):
        answer = tools.client.post("/v1/responses", json=body)
        if answer.status_code == 200 and not body.get("stream"):
            Response.model_validate(answer.json())
        elif answer.status_code != 200:
            assert answer.status_code in (400, 404)
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["type"] == "invalid_request_error"
