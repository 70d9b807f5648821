"""Requests as they come and go: who is told what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.server.state import State
from app.server.visits import agent_of, is_quiet
from tests.app.conftest import App, RunFailed, Text

CHAT = {"model": "composer-2.5", "messages": [{"role": "user", "content": "the secret plan"}]}
AGENT = {"user-agent": "opencode/1.2.3 ai-sdk/5 (secret words)"}
Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def told(app: App) -> Iterator[Told]:
    state: State = app.client.app.state.server  # type: ignore[attr-defined]
    heard: Told = []
    with state.watchers.watching(lambda news, known: heard.append((news, dict(known)))):
        yield heard


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_from_its_start_to_its_end(app: App, told: Told, stream: bool) -> None:
    answer = app.client.post("/v1/chat/completions", json={**CHAT, "stream": stream}, headers=AGENT)
    assert [news for news, _ in told] == ["started", "noted", *["answering"] * stream, "ended"]
    started, ended = told[0][1], told[-1][1]
    assert started["request"] == ended["request"] == answer.headers["x-request-id"]
    assert (started["status"], started["agent"]) == (0, "opencode/1.2.3")
    assert started["time"] > 1_700_000_000
    assert (ended["status"], ended["model"], ended["stream"]) == (200, "composer-2.5", stream)
    assert (ended["tokens_in"], ended["tokens_out"], ended["estimated"]) == (15, 2, False)
    assert ended["cost"] == pytest.approx(15 * 0.5e-6 + 2 * 2.5e-6)
    assert 0 < ended["first_ms"] <= ended["ms"]
    assert told[1][1]["model"] == "composer-2.5"
    assert "secret" not in repr(told)


def test_failures_have_their_code(app: App, told: Told) -> None:
    app.bridge.script = (RunFailed("rate_limit", "slow down"),)
    app.client.post("/v1/chat/completions", json=CHAT)
    assert (told[-1][1]["status"], told[-1][1]["error"]) == (429, "rate_limit_exceeded")
    app.bridge.script = (Text(1, "Hel"), RunFailed("internal", "boom"))
    app.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert (told[-1][1]["status"], told[-1][1]["error"]) == (200, "cursor_sdk_error")
    app.client.get("/v1/models", headers={"host": "evil.example"})
    assert told[-1][1]["status"] == 403


def test_the_apps_own_paths_are_not_told_of(app: App, told: Told) -> None:
    for path in ("/health", "/", "/app/", "/favicon.ico"):
        app.client.get(path, follow_redirects=False)
    assert told == []
    assert not is_quiet("/v1/models")
    app.client.get("/v1/models")
    assert [news for news, _ in told] == ["started", "ended"]


def test_watching_ends(app: App, told: Told) -> None:
    state: State = app.client.app.state.server  # type: ignore[attr-defined]
    heard: Told = []
    with state.watchers.watching(lambda news, known: heard.append((news, dict(known)))):
        pass
    app.client.get("/v1/models")
    assert told
    assert not heard


def test_a_watcher_that_fails_fails_no_request(app: App, told: Told) -> None:
    def broken(news: str, known: dict[str, Any]) -> None:
        raise RuntimeError

    state: State = app.client.app.state.server  # type: ignore[attr-defined]
    with state.watchers.watching(broken):
        assert app.client.post("/v1/chat/completions", json=CHAT).status_code == 200
    assert told[-1][0] == "ended"


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        ("OpenAI/Python 1.2", "OpenAI"), ("codex_cli_rs/0.50.0 (Mac OS 15)", "codex_cli_rs/0.50.0"),
        ("litellm/1.2", "litellm/1.2"), ("", ""), ("<script>", ""), ("Mozilla/5.0 (X11)", "Mozilla/5.0"),
        ("a" * 500, "a" * 31), ("../../etc", ""),
    ],
)  # fmt: skip
def test_the_agents_name(user_agent: str, agent: str) -> None:
    assert agent_of(user_agent) == agent
