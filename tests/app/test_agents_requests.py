"""What coding agents send, as seen on the wire: each oddity is taken as OpenAI takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from app.cursor.client import ToolCalls
from app.cursor.conversation import ToolCall, Turn
from app.openai.errors import ApiError
from app.openai.responses import parse
from tests.app.conftest import App, Done

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
EXEC = {
    "type": "function",
    "name": "exec_command",
    "strict": False,
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]},
}
SUBAGENTS = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Tools for sub-agents.",
    "tools": [
        {"type": "function", "name": "spawn", "description": "Begin one."},
        {"type": "function", "name": "close", "description": "End one."},
        {"type": "custom", "name": "note", "description": "Write to one."},
    ],
}


def said(role: str, text: str) -> dict[str, Any]:
    """A message as Codex writes it."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": content}


CODEX: dict[str, Any] = {
    "model": "composer-2.5",
    "stream": True,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a205c2",
    "client_metadata": {"thread_id": "01a205c2"},
    "tools": [EXEC, SUBAGENTS, {"type": "web_search", "external_web_access": False}],
    "input": [
        said("developer", "Be good."),
        said("user", "Go"),
    ],
}


@pytest.fixture
def app(tools: App) -> App:
    """The app as agents need it."""
    return tools


def events(app: App, body: dict[str, Any]) -> list[Any]:
    answer = app.client.post("/v1/responses", json=body)
    assert answer.status_code == 200, answer.text
    found = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    for event in found:
        EVENT.validate_python(event)
    return found


def test_a_namespace_is_in_the_names_the_model_knows(app: App) -> None:
    app.bridge.script = (
        ToolCalls((
            ToolCall("call_1", "exec_command", '{"cmd":"ls"}'),
            ToolCall("call_2", "multi_agent_v1__close", '{"id":"a"}'),
            ToolCall("call_3", "multi_agent_v1__note", '{"input":"hello"}'),
        )),
        Done(1),
    )  # fmt: skip
    told = events(app, CODEX)
    offered = {tool.name: tool for tool in app.bridge.prompts[0].tools}
    assert list(offered) == [
        "exec_command",
        *(f"multi_agent_v1__{name}" for name in ("spawn", "close", "note")),
    ]
    assert offered["multi_agent_v1__spawn"].description == "Tools for sub-agents.\n\nBegin one."
    assert offered["multi_agent_v1__close"].description == "End one."
    plain, inner, free = told[-1]["response"]["output"]
    assert (plain["name"], "namespace" in plain) == ("exec_command", False)
    assert (inner["type"], inner["name"], inner["namespace"]) == ("function_call", "close", "multi_agent_v1")
    assert (free["type"], free["name"], free["input"]) == ("custom_tool_call", "note", "hello")
    names = [event["name"] for event in told if event["type"] == "response.function_call_arguments.done"]
    assert names == ["exec_command", "close"]


def test_a_call_in_a_namespace_comes_back(app: App) -> None:
    """What went out as two names must be the call that the suspended run knows."""
    call = {"type": "function_call", "call_id": "call_2", "name": "close", "namespace": "multi_agent_v1"}
    result = {"type": "function_call_output", "call_id": "call_2", "output": "closed"}
    items = [*CODEX["input"], {**call, "arguments": "{}"}, result]
    events(app, {**CODEX, "input": items})
    assert app.bridge.prompts[0].turns == (
        Turn("system", "Be good."),
        Turn("user", "Go"),
        Turn("assistant", "", calls=(ToolCall("call_2", "multi_agent_v1__close", "{}"),)),
        Turn("tool", "closed", call_id="call_2"),
    )


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"type": "namespace", "tools": []}, "tools[0].name"),
        ({"type": "namespace", "name": "a"}, "tools[0].tools"),
        ({"type": "namespace", "name": "a", "tools": ["x"]}, "tools[0].tools[0]"),
        ({"type": "namespace", "name": "a", "tools": [{"type": "function"}]}, "tools[0].tools[0].name"),
        ({"type": "namespace", "name": "a", "tools": [SUBAGENTS]}, "tools[0].tools[0].type"),
        ({"type": "namespace", "name": "a", "tools": [EXEC, EXEC]}, "tools"),
        ({"type": "teleport"}, "tools[0].type"),
    ],
)
def test_a_namespace_that_is_none(tool: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse(json.dumps({"input": "hi", "tools": [tool]}).encode(), tools=True)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_what_openai_runs_itself_is_not_offered() -> None:
    hosted = [{"type": kind} for kind in ("web_search", "tool_search", "local_shell", "image_generation")]
    asked = parse(json.dumps({"input": "hi", "tools": [EXEC, *hosted]}).encode(), tools=True)
    assert [tool.name for tool in asked.asked.offer.tools] == ["exec_command"]


def test_codex_gets_a_list_of_models_that_it_can_read(app: App) -> None:
    listed = app.client.get("/v1/models", params={"client_version": "0.169.0"}).json()
    assert listed["models"] == []
    assert [model["id"] for model in listed["data"]] == ["composer-2.5", "composer-2.5-fast"]
    assert "models" not in app.client.get("/v1/models").json()


def test_codex_is_told_how_tools_are_switched_on() -> None:
    with pytest.raises(ApiError, match="API_FOR_CURSOR_RESPONSES_TOOLS=1") as caught:
        parse(json.dumps(CODEX).encode())
    assert (caught.value.status, caught.value.param) == (400, "tools")
