from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.cursor.client import RunFailed, Turn
from app.server.build import build
from app.server.listening import Address
from app.settings import Settings
from app.version import FROM_SOURCE
from tests.app.conftest import ANSWER, KEY, App, Done, ScriptedBridge, Text, Thinking

CHAT = {"model": "composer-2.5-fast", "messages": [{"role": "user", "content": "hi"}]}


def events(text: str) -> list[Any]:
    """The data of every event; `[DONE]` stays text."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def test_health(app: App) -> None:
    answer = app.client.get("/health")
    assert answer.json() == {
        "service": "API for Cursor",
        "status": "ready",
        "version": FROM_SOURCE,
        "host": "127.0.0.1",
        "port": 8787,
        "baseUrl": "http://127.0.0.1:8787/v1",
        "models": ["composer-2.5", "composer-2.5-fast"],
        "bridge": {
            "state": "ready",
            "runtime": None,
            "version": None,
            "path": None,
            "sandbox": None,
            "problem": None,
        },
    }
    head = app.client.head("/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


def test_health_without_a_key_or_a_bridge(tmp_path: Any) -> None:
    keyless = Settings(data_dir=tmp_path)
    bridge = ScriptedBridge(keyless)
    with TestClient(build(keyless, Address("127.0.0.1", 1), bridge), base_url="http://localhost") as client:
        assert client.get("/health").json()["status"] == "needs_api_key"
        bridge.state = "starting"
        assert client.get("/health").json()["status"] == "needs_api_key"
        bridge.state = "missing"
        bridge.problem = "no Bun"
        assert client.get("/health").json()["status"] == "sdk_bridge_missing"


def test_models(app: App) -> None:
    listed = app.client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["composer-2.5", "composer-2.5-fast"]
    for name in ("composer-2.5-fast", "openai/composer-2-5-fast-sdk"):
        model = app.client.get(f"/v1/models/{name}").json()
        assert model == listed["data"][1]
        assert model["object"] == "model"
        assert model["owned_by"] == "cursor"
    assert app.client.get("/models").json() == listed


@pytest.mark.parametrize(
    ("state", "problem", "status"),
    [
        ("starting", None, "sdk_bridge_starting"),
        ("restarting", None, "sdk_bridge_starting"),
        ("restarting", "it ended with status 1", "sdk_bridge_failed"),
        ("ready", None, "ready"),
    ],
)
def test_health_tells_a_bridge_that_comes_from_one_that_fails(
    app: App, state: Any, problem: str | None, status: str
) -> None:
    app.bridge.state, app.bridge.problem = state, problem
    found = app.client.get("/health").json()
    assert (found["status"], found["bridge"]["problem"]) == (status, problem)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/v1/health", 404, "not_found"),
        ("GET", "/v1/models/gpt-5", 404, "model_not_found"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
    ],
)
def test_wrong_routes(app: App, method: str, path: str, status: int, code: str) -> None:
    answer = app.client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.json()["error"]["code"] == code


def test_a_completion(app: App) -> None:
    answer = app.client.post("/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer anything"})
    body = answer.json()
    assert body["model"] == "composer-2.5-fast"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Hello there", "refusal": None}
    assert body["usage"]["prompt_tokens"] == 15  # read from and written to the cache count as well
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    (prompt,) = app.bridge.prompts
    assert (prompt.turns, prompt.key, prompt.model.fast) == ((Turn("user", "hi"),), KEY, True)


def test_what_the_model_thinks_is_not_the_answer(app: App) -> None:
    app.bridge.script = (Thinking(1, "hm"), *ANSWER)
    body = app.client.post("/v1/chat/completions", json=CHAT).json()
    assert body["choices"][0]["message"]["content"] == "Hello there"


def test_usage_is_estimated_when_the_sdk_has_none(app: App) -> None:
    app.bridge.script = (Text(1, "x" * 9), Done(1))
    usage = app.client.post("/v1/chat/completions", json=CHAT).json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["cost"]["estimated"]) == (1, 3, True)


def test_a_stream(app: App) -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    answer = app.client.post("/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, usage, done = events(answer.text)
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 2
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Hello"}, {"content": " there"}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert len({chunk["id"] for chunk in (*chunks, usage)}) == 1


def test_a_stream_without_usage(app: App) -> None:
    answer = app.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert all("usage" not in chunk for chunk in events(answer.text)[:-1])


def test_a_stream_that_breaks_says_so_and_is_not_done(app: App) -> None:
    app.bridge.script = (Text(1, "Hel"), RunFailed("internal", "boom"))
    answer = app.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert "event: error\n" in answer.text
    last = events(answer.text)[-1]
    assert last["error"]["type"] == "cursor_error"
    assert last["error"]["code"] == "cursor_stream_error"
    assert "boom" in last["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RunFailed("authentication", "no"), 401, "cursor_unauthorized"),
        (RunFailed("rate_limit", "slow down"), 429, "rate_limit_exceeded"),
        (RunFailed("request", "no such"), 400, "cursor_rejected"),
        (RunFailed("timeout", "late"), 504, "cursor_sdk_timeout"),
        (RunFailed("unavailable", "full"), 503, "cursor_unavailable"),
        (RunFailed("bridge", "gone", retryable=True), 502, "sdk_bridge_lost"),
        (RunFailed("bridge", "no bun"), 503, "sdk_bridge_missing"),
        (RunFailed("guard", "past"), 502, "cursor_sdk_error"),
        (RunFailed("anything", "else"), 502, "cursor_sdk_error"),
    ],
)
def test_failures_before_the_first_output_have_a_status(
    app: App, failure: RunFailed, status: int, code: str, stream: bool
) -> None:
    app.bridge.script = (failure,)
    answer = app.client.post("/v1/chat/completions", json={**CHAT, "stream": stream})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert failure.message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (RunFailed("timeout", "late"), "false"),
        (RunFailed("rate_limit", "usage limit"), "false"),
        (RunFailed("rate_limit", "slow down", retryable=True), None),
        (RunFailed("unavailable", "full", retryable=True), None),
    ],
)
def test_clients_are_told_what_not_to_repeat(app: App, failure: RunFailed, hint: str | None) -> None:
    app.bridge.script = (failure,)
    assert app.client.post("/v1/chat/completions", json=CHAT).headers.get("x-should-retry") == hint


def test_what_is_said_of_the_key(app: App) -> None:
    from app.keychain import Held
    from app.keys import UNREAD
    from app.server.state import State

    state: State = app.client.app.state.server  # type: ignore[attr-defined]
    state.keys.held = UNREAD
    assert app.client.get("/health").json()["status"] == "sdk_bridge_starting"
    for held, status, code in (
        (Held("locked", source="the Keychain"), "needs_unlock", "locked_api_key"),
        (Held("absent", source="the Keychain"), "needs_api_key", "missing_api_key"),
    ):
        state.keys.held = held
        assert app.client.get("/health").json()["status"] == status
        answer = app.client.post("/v1/chat/completions", json=CHAT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    state.keys.held = Held("present", "key_new", "the Keychain")
    assert app.client.post("/v1/chat/completions", json=CHAT).status_code == 200
    assert app.bridge.prompts[-1].key == "key_new"


def test_no_key(app: App, tmp_path: Any) -> None:
    keyless = Settings(data_dir=tmp_path)
    bridge = ScriptedBridge(keyless)
    with TestClient(build(keyless, Address("127.0.0.1", 1), bridge), base_url="http://localhost") as client:
        answer = client.post(
            "/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer key_of_mine"}
        )
    assert answer.status_code == 401
    assert "CURSOR_API_KEY" in answer.json()["error"]["message"]
    assert not bridge.prompts


@pytest.mark.parametrize(
    ("content", "kind", "status", "message"),
    [
        (b"{}", "text/plain", 415, "Content-Type"),
        (b"{}", "", 415, "Content-Type"),
        (b"{", "application/json", 400, "Invalid JSON"),
        (b"", "application/json", 400, "Invalid JSON"),
        (b"{}", "application/json; charset=utf-8", 400, "messages"),
        (b'{"messages":[{"role":"user","content":"x"}],"model":"gpt-5"}', "application/json", 404, "gpt-5"),
    ],
)
def test_bad_bodies(app: App, content: bytes, kind: str, status: int, message: str) -> None:
    answer = app.client.post("/v1/chat/completions", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]
    assert not app.bridge.prompts


def test_a_bug_is_no_leak(app: App) -> None:
    with TestClient(app.client.app, base_url="http://localhost", raise_server_exceptions=False) as client:
        app.bridge.run = None  # type: ignore[assignment,method-assign]
        answer = client.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "None" not in answer.text
