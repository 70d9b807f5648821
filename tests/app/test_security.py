from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from app.server.listening import is_loopback
from app.server.security import Door, host_name, refusal
from tests.app.conftest import App

HERE = "127.0.0.1:8787"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "192.168.1.5", "localhost.evil.example", "127.0.0.1.evil.example", "::", "evil.example"],
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "name"), [("a:1", "a"), ("a", "a"), ("[::1]:8787", "::1"), ("[::1]", "::1"), ("", "")]
)
def test_host_names(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": HERE}, None),
        ({"host": "localhost:9999"}, None),
        ({"host": "[::1]:8787"}, None),
        ({"host": HERE, "origin": f"http://{HERE}"}, None),
        ({"host": HERE, "origin": "http://tool.example"}, None),
        ({"host": HERE, "sec-fetch-site": "same-origin"}, None),
        ({"host": HERE, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, None),
        ({"host": HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ({}, "forbidden_host"),
        ({"host": "evil.example:8787"}, "forbidden_host"),
        ({"host": "evil.example:8787", "origin": "http://evil.example:8787"}, "forbidden_host"),
        ({"host": HERE, "origin": "http://evil.example"}, "forbidden_origin"),
        ({"host": HERE, "origin": "null"}, "forbidden_origin"),
        ({"host": HERE, "origin": "http://127.0.0.1:3000"}, "forbidden_origin"),
        ({"host": HERE, "origin": f"https://{HERE}"}, "forbidden_origin"),
        ({"host": HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "forbidden_origin"),
        ({"host": HERE, "sec-fetch-site": "same-site"}, "forbidden_origin"),
    ],
)
def test_who_is_let_in(headers: dict[str, str], code: str | None) -> None:
    error = refusal(headers, origins={"http://tool.example"})
    assert (error and error.code) == code
    assert error is None or error.status == 403


def test_a_rebound_name_gets_nothing_done(app: App) -> None:
    answer = app.client.post(
        "/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "hi"}]},
        headers={"host": "evil.example:8787"},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden_host"
    assert not app.bridge.prompts


def test_a_foreign_origin_gets_no_cors_and_nothing_done(app: App) -> None:
    for method in ("POST", "OPTIONS"):
        answer = app.client.request(
            method,
            "/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "hi"}]},
            headers={"origin": "https://evil.example"},
        )
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert not app.bridge.prompts


def test_the_own_origin_gets_cors(app: App) -> None:
    answer = app.client.get("/v1/models", headers={"origin": f"http://{HERE}"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == f"http://{HERE}"


def test_options(app: App) -> None:
    answer = app.client.options("/v1/chat/completions")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "POST" in answer.headers["allow"]


@pytest.fixture
def narrow(app: App) -> TestClient:
    return TestClient(Door(app.client.app, max_body=1000), base_url=f"http://{HERE}")


def test_a_long_body_is_refused_by_its_length(narrow: TestClient) -> None:
    answer = narrow.post("/v1/chat/completions", content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_a_long_body_without_a_length_is_refused_while_it_arrives(narrow: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    answer = narrow.post(
        "/v1/chat/completions", content=pieces(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
