from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from app.server import logs
from app.server.logs import logging_to
from tests.app.conftest import KEY, App, RunFailed

CHAT = {"messages": [{"role": "user", "content": "the secret plan"}]}


def lines(path: Path | None) -> list[Any]:
    assert path is not None
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_request_is_one_line_without_its_prompt_or_keys(app: App, tmp_path: Path) -> None:
    with logging_to(tmp_path / "logs", hidden=(KEY,)) as path:
        answer = app.client.post(
            "/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-client"}
        )
        app.client.get("/health")
        app.bridge.script = (RunFailed("rate_limit", f"slow down, {KEY}, with the secret plan"),)
        app.client.post("/v1/chat/completions", json=CHAT)
        app.client.get("/v1/models", headers={"host": "evil.example"})
        logging.getLogger("app.bridge").error("%s leaked", KEY)
    good, bad, refused, leak = lines(path)
    assert good["request"] == answer.headers["x-request-id"]
    assert (good["status"], good["model"], good["tokens_in"], good["tokens_out"]) == (
        200,
        "composer-2.5",
        15,
        2,
    )
    assert (bad["status"], bad["error"]) == (429, "rate_limit_exceeded")
    assert refused["status"] == 403
    assert leak["message"] == "*** leaked"
    assert path is not None
    text = path.read_text()
    assert not [word for word in ("secret plan", "sk-client", KEY, "Hello") if word in text]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_exception_is_logged_without_its_message(tmp_path: Path) -> None:
    with logging_to(tmp_path) as path:
        try:
            raise ValueError("the secret plan")
        except ValueError:
            logging.getLogger("app.server").exception("it failed")
    (line,) = lines(path)
    assert line["exception"] == "ValueError"
    assert "test_logs.py" in line["at"][-1]
    assert "secret" not in json.dumps(line)


def test_it_rotates_and_every_file_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    with logging_to(tmp_path):
        for number in range(100):
            logging.getLogger("app").info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert len(files) == logs.KEPT + 1
    assert all(file.stat().st_size <= 1000 for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_log_that_cannot_be_written_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with logging_to(tmp_path / "file") as path:
        assert path is None
