"""The whole server, as it is started: `python -m app serve` with the real bridge."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import openai
import pytest

from app.settings import Settings
from tests.app.conftest import ROOT, Served, environment_of, gone, served, wait_for
from tests.standins.cursor import CursorStandIn

pytestmark = pytest.mark.release


def health(server: Served) -> Any:
    with urllib.request.urlopen(f"{server.url}/health") as answer:
        return json.load(answer)


def ready(server: Served) -> Any:
    deadline = time.monotonic() + 15
    while (found := health(server))["status"] != "ready":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def client(server: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="anything", max_retries=0)


def children(process: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += map(int, path.read_text().split())
    return found


def test_the_official_client(real: Settings, cursor: CursorStandIn) -> None:
    with served(environment_of(real)) as server:
        found = ready(server)
        sandbox = found["bridge"].pop("sandbox")
        assert sandbox in ("bubblewrap", None)  # as this machine allows
        assert found["bridge"] == {
            "state": "ready", "runtime": "bun", "version": "1.4.5", "path": "configured", "problem": None,
        }  # fmt: skip
        assert found["baseUrl"] == f"{server.url}/v1"
        openai_client = client(server)
        assert [model.id for model in openai_client.models.list()] == ["composer-2.5", "composer-2.5-fast"]
        message: Any = {"role": "user", "content": "hi"}
        whole = openai_client.chat.completions.create(model="composer-2.5", messages=[message])
        assert whole.choices[0].message.content == "Hello from the stand-in"
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (11, 7)
        stream = openai_client.chat.completions.create(
            model="composer-2.5", messages=[message], stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert texts == ["", "Hello", " from", " the", " stand-in", ""]
        assert chunks[-1].usage is not None
        message["content"] = "[[scenario:rate_limit]]"
        with pytest.raises(openai.RateLimitError):
            openai_client.chat.completions.create(model="composer-2.5", messages=[message])
        message["content"] = "[[scenario:error_midway]]"
        with pytest.raises(openai.APIError, match="boom"):
            list(openai_client.chat.completions.create(model="composer-2.5", messages=[message], stream=True))
        with pytest.raises(openai.NotFoundError):
            openai_client.chat.completions.create(model="gpt-5", messages=[message])
        assert server.stop() == 0
    assert not [line for line in server.said if "Traceback" in line]
    assert {run.key for run in cursor.runs} == {real.key}  # never what the client sent


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scenario", ["hang", "stuck"])
def test_a_client_that_leaves_ends_its_run(
    real: Settings, cursor: CursorStandIn, stream: bool, scenario: str
) -> None:
    with served(environment_of(real)) as server:
        ready(server)
        body = {"messages": [{"role": "user", "content": f"[[scenario:{scenario}]]"}], "stream": stream}
        data = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {server.url[7:]}\r\nContent-Type: application/json"
        )
        host, port = server.url[7:].split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{head}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
            wait_for(lambda: bool(cursor.runs))
            time.sleep(0.3)
            assert not cursor.runs[0].client_left
        wait_for(lambda: cursor.runs[0].client_left, 1.5)
        assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop(real: Settings, number: int) -> None:
    with served(environment_of(real)) as server:
        ready(server)
        (bridge,) = children(server.process.pid)
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < 3
        assert gone(bridge)
    assert not [line for line in server.said if "Traceback" in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_before_there_is_a_bridge(real: Settings, number: int) -> None:
    """The bridge is on its way."""
    argv = [sys.executable, "-m", "app", "serve", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], **environment_of(real)}
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    with process:
        wait_for(lambda: children(process.pid) != [])
        started = children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=15)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert all(gone(child) for child in started)


def test_a_stop_while_an_answer_is_under_way(real: Settings, cursor: CursorStandIn) -> None:
    with served(environment_of(real)) as server:
        ready(server)
        body = json.dumps({"messages": [{"role": "user", "content": "[[scenario:hang]]"}], "stream": True})
        request = urllib.request.Request(
            f"{server.url}/v1/chat/completions", body.encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.readline().startswith(b"data:")
            (bridge,) = children(server.process.pid)
            assert server.stop() == 0
            assert b"event: error\n" in answer.read()  # the client is told
        assert gone(bridge)
    assert not [line for line in server.said if "Traceback" in line]


def test_a_killed_server_takes_its_bridge_along(real: Settings) -> None:
    with served(environment_of(real)) as server:
        ready(server)
        (bridge,) = children(server.process.pid)
        server.stop(signal.SIGKILL)
        wait_for(lambda: gone(bridge), 5)


def test_a_busy_port(real: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with served(environment_of(real), "--port", str(port)) as server:
            assert f"Port {port} is busy; using" in server.said[0]
            assert health(server)["port"] != port
            assert server.stop() == 0


def test_two_servers_at_once(real: Settings) -> None:
    with served(environment_of(real)) as one, served(environment_of(real)) as other:
        for server in (one, other):
            ready(server)
            message: Any = {"role": "user", "content": "hi"}
            whole = client(server).chat.completions.create(model="composer-2.5", messages=[message])
            assert whole.choices[0].message.content == "Hello from the stand-in"
        assert (one.stop(), other.stop()) == (0, 0)


def test_an_old_node_is_refused_and_health_says_so(real: Settings, tmp_path: Path) -> None:
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v20.20.2\n")
    old.chmod(0o755)
    environment = environment_of(real) | {"CURSOR_SDK_BRIDGE_RUNTIME": str(old)}
    with served(environment) as server:
        wait_for(lambda: health(server)["status"] == "sdk_bridge_missing")
        assert "too old" in health(server)["bridge"]["problem"]
        assert server.stop() == 0


def test_the_stand_in_alone() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.standins.cursor", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/v1/models") as answer:
            assert json.load(answer)["items"][0]["id"] == "composer-2.5"
    finally:
        process.terminate()
        process.wait(10)
