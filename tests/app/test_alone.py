"""The bridge by itself: `python -m app bridge`, spoken to over HTTP with a token."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from app.cursor.alone import plan
from app.errors import AppError
from app.settings import Settings
from tests.app.bridges import WEATHER, asking
from tests.app.conftest import KEY, ROOT, environment_of, wait_for
from tests.standins.cursor import CursorStandIn

pytestmark = pytest.mark.release
TOKEN = "a-token-for-the-tests"
HELLO = "Hello from the stand-in"


@dataclass
class Alone:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, text: str, **more: Any) -> requests.Response:
        message = {**asking(text).message(), **more}
        headers = {"authorization": f"Bearer {TOKEN}"}
        return requests.post(f"{self.url}/run", json=message, headers=headers, timeout=30, stream=True)

    def events(self, answer: requests.Response) -> list[Any]:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
        return [json.loads(line) for line in answer.iter_lines()]

    def health(self) -> Any:
        headers = {"authorization": f"Bearer {TOKEN}"}
        return requests.get(f"{self.url}/health", headers=headers, timeout=5).json()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def alone(settings: Settings, folder: Path, **environ: str) -> Iterator[Alone]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment_of(settings),
        "CURSOR_SDK_BRIDGE_PORT": str(port), "CURSOR_SDK_BRIDGE_TOKEN": TOKEN, **environ,
    }  # fmt: skip
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "bridge"], env=environment, stdout=output, stderr=output, cwd="/"
        )
    found = Alone(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for(lambda: "listening" in log.read_text() or process.poll() is not None)
        yield found
    finally:
        process.kill()
        process.wait(10)


def test_a_run(either: Settings, cursor: CursorStandIn, tmp_path: Path) -> None:
    with alone(either, tmp_path) as bridge:
        assert requests.get(f"{bridge.url}/health", timeout=5).json() == {
            "service": "API for Cursor bridge",
            "status": "ready",
        }
        events = bridge.events(bridge.ask("hi"))
        assert "".join(event["text"] for event in events[:-1]) == HELLO
        assert events[-1]["event"] == "done"
        assert events[-1]["usage"]["inputTokens"] == 11
        assert bridge.health()["runtime"] in str(either.runtime)
        assert bridge.health()["resting"] == 1
        bridge.process.send_signal(signal.SIGTERM)
        assert bridge.process.wait(5) in (0, -signal.SIGTERM)  # within walls it is the walls that go
    assert cursor.runs[0].key == KEY


def test_only_with_the_token(real: Settings, cursor: CursorStandIn, tmp_path: Path) -> None:
    with alone(real, tmp_path) as bridge:
        for headers in ({}, {"authorization": TOKEN}, {"authorization": "Bearer x"}, {"x-api-key": TOKEN}):
            for path in ("/run", "/", "/other"):
                answer = requests.post(f"{bridge.url}{path}", json={}, headers=headers, timeout=5)
                assert answer.status_code == 401
                assert answer.json()["error"]["message"] == "Missing or invalid authorization"
    assert cursor.runs == []


@pytest.mark.parametrize(
    ("scenario", "status", "code", "kind"),
    [
        ("unavailable", 503, "cursor_sdk_unavailable", "unavailable"),
        ("rate_limit", 503, "cursor_sdk_unavailable", "rate_limit"),
        ("usage_limit", 502, "cursor_sdk_error", "rate_limit"),
        ("unauthenticated", 401, "cursor_unauthorized", "authentication"),
        ("bad_model", 502, "cursor_sdk_error", "request"),
        ("garbage", 502, "cursor_sdk_error", "internal"),
        ("stuck", 504, "cursor_sdk_timeout", "timeout"),
    ],
)
def test_failures(real: Settings, tmp_path: Path, scenario: str, status: int, code: str, kind: str) -> None:
    with alone(real, tmp_path, CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS="4000") as bridge:
        answer = bridge.ask(f"[[scenario:{scenario}]]")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["kind"]) == (status, code, kind)
        assert bridge.events(bridge.ask("still there?"))[-1]["event"] == "done"


def test_a_failure_midway_is_an_event(real: Settings, tmp_path: Path) -> None:
    with alone(real, tmp_path) as bridge:
        events = bridge.events(bridge.ask("[[scenario:error_midway]]"))
        assert [event["event"] for event in events] == ["text", "failed"]
        assert events[-1]["kind"] == "internal"


def test_a_client_that_leaves(either: Settings, cursor: CursorStandIn, tmp_path: Path) -> None:
    with alone(either, tmp_path) as bridge:
        answer = bridge.ask("[[scenario:hang]]")
        next(answer.iter_lines())
        answer.close()
        wait_for(lambda: cursor.runs[0].client_left, 1)
        wait_for(lambda: bridge.health()["running"] == 0, 2)


def test_a_client_that_leaves_before_the_first_output(
    real: Settings, cursor: CursorStandIn, tmp_path: Path
) -> None:
    with alone(real, tmp_path) as bridge:
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{bridge.url}/run",
                json=asking("[[scenario:stuck]]").message(),
                headers={"authorization": f"Bearer {TOKEN}"},
                timeout=1.5,
            )
        wait_for(lambda: cursor.runs[0].client_left, 1)


def test_tools_over_two_requests(real: Settings, cursor: CursorStandIn, tmp_path: Path) -> None:
    tool = {"name": WEATHER.name, "description": WEATHER.description, "parameters": dict(WEATHER.parameters)}
    with alone(real, tmp_path) as bridge:
        events = bridge.events(bridge.ask("[[scenario:tools for=Paris]]", tools=[tool]))
        assert [event["event"] for event in events] == ["text", "calls", "done"]
        (call,) = events[1]["calls"]
        turns = [
            {"role": "user", "text": "x"},
            {"role": "assistant", "text": "Let me look. ", "calls": [call]},
            {"role": "tool", "text": "sunny", "call_id": call["id"]},
        ]
        events = bridge.events(bridge.ask("", turns=turns, tools=[tool]))
        assert events[0]["text"] == "I heard: sunny"
    assert len(cursor.runs) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"key": "k"}', b'{"key": 1, "model": "m", "turns": []}',
        b'{"key": "k", "model": "m", "turns": [{"role": "god", "text": "x"}]}',
        b'{"key": "k", "model": "m", "turns": [{"role": "user"}]}',
        b'{"key": "k", "model": "m", "turns": [null]}',
    ],
)  # fmt: skip
def test_bad_bodies(real: Settings, tmp_path: Path, body: bytes) -> None:
    with alone(real, tmp_path) as bridge:
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = requests.post(f"{bridge.url}/run", body, headers=headers, timeout=5)
        assert answer.status_code == 400
        assert requests.get(f"{bridge.url}/run", headers=headers, timeout=5).status_code == 405
        assert requests.get(f"{bridge.url}/nothing", headers=headers, timeout=5).status_code == 404
        assert bridge.health()["status"] == "ready"


def test_the_log_has_no_key_and_no_prompt(real: Settings, tmp_path: Path) -> None:
    with alone(real, tmp_path) as bridge:
        for words in ("my private question", "my private question [[scenario:error_midway]]"):
            bridge.events(bridge.ask(words))
        assert bridge.ask("my private question", key="a_bad_key").status_code == 401
        wait_for(lambda: bridge.log.read_text().count('{"log":"run"') == 3)
        log = bridge.log.read_text()
    assert log.count('{"log":"run"') == 3
    for secret in (KEY, TOKEN, "bad_key", "private question", "stand-in", "boom"):
        assert secret not in log


def test_a_token_is_made_and_kept_for_this_user(settings: Settings, real: Settings) -> None:
    planned = plan(real, {})
    path = real.data_dir / "bridge.token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert planned.environment["CURSOR_SDK_BRIDGE_TOKEN"] == path.read_text()
    assert len(path.read_text()) > 40
    assert path.read_text() not in planned.argv
    assert planned.url == "http://127.0.0.1:8792"
    assert (
        plan(real, {}).environment["CURSOR_SDK_BRIDGE_TOKEN"]
        != planned.environment["CURSOR_SDK_BRIDGE_TOKEN"]
    )


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CURSOR_SDK_BRIDGE_TOKEN": "short"}, "at least 16"),
        ({"CURSOR_SDK_BRIDGE_HOST": "0.0.0.0"}, "CURSOR_SDK_BRIDGE_TOKEN too"),
        ({"CURSOR_SDK_BRIDGE_PORT": "http"}, "from 0 to 65535"),
    ],
)
def test_mistakes(real: Settings, environ: dict[str, str], words: str) -> None:
    with pytest.raises(AppError, match=words):
        plan(real, environ)


def test_the_hosted_api_on_it(real: Settings, cursor: CursorStandIn, tmp_path: Path) -> None:
    """The download site's hosted API answers with it, and a session goes on in the same conversation."""
    from tests.worker.hosts import Uvicorn

    said = [{"role": "user", "content": "hi"}]
    headers = {"authorization": f"Bearer {KEY}", "x_session_affinity": "one"}
    with alone(real, tmp_path) as bridge:
        settings = {
            "HOSTED_API_ENABLED": "1",
            "CURSOR_SDK_BRIDGE_URL": bridge.url,
            "CURSOR_SDK_BRIDGE_TOKEN": TOKEN,
        }
        with Uvicorn().site(tmp_path / "site", settings) as site:
            first = site.post("/v1/chat/completions", {"messages": said}, **headers)
            assert (first.status, first.json()["choices"][0]["message"]["content"]) == (200, HELLO)
            said += [{"role": "assistant", "content": HELLO}, {"role": "user", "content": "again"}]
            assert site.post("/v1/chat/completions", {"messages": said}, **headers).status == 200
            streamed = site.post("/v1/chat/completions", {"messages": said[:1], "stream": True}, **headers)
            assert streamed.body.endswith(b"data: [DONE]\n\n")
        assert [run.key for run in cursor.runs] == [KEY] * 3
        assert cursor.runs[0].conversation == cursor.runs[1].conversation != cursor.runs[2].conversation
