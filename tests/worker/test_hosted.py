"""The hosted API: gone unless it is switched on; then accounts, tokens, and the app's own dialect."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.worker.hosts import Elsewhere, Host, Reply, Site
from worker.hosted import logs
from worker.hosted.vault import account_id, encryption_key
from worker.hosts.local.sqlite import MIGRATIONS, Sqlite
from worker.ports import Unavailable
from worker.replies import Refusal

TABLES = ("accounts", "api_keys", "request_logs", "sdk_sessions")
KEY = "crsr_0123456789abcdefWXYZ"
EVENTS = [
    {"event": "text", "text": "Hello"},
    {"event": "thinking", "text": "hm"},
    {"event": "text", "text": " world"},
    {"event": "done", "usage": {"inputTokens": 7, "outputTokens": 3, "cacheReadTokens": 1}},
]


def lines(events: Sequence[object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def settings(world: Elsewhere) -> dict[str, str]:
    return {
        "HOSTED_API_ENABLED": "1",
        "ENCRYPTION_KEY": "a-long-enough-secret",
        "CURSOR_API_BASE": world.url,
        "CURSOR_SDK_BRIDGE_URL": world.url,
        "CURSOR_SDK_BRIDGE_TOKEN": "bridge-token",
    }


@pytest.fixture
def running(host: Host, tmp_path: Path, world: Elsewhere) -> Iterator[Site]:
    me = {"userId": 42, "userEmail": "Ada@Example.test", "userFirstName": "Ada", "userLastName": "L"}
    world.answer("GET", "/v1/me", 200, me)
    world.answer("POST", "/run", 200, lines(EVENTS))
    with host.site(tmp_path, settings(world)) as found:
        yield found


def sign_up(running: Site, key: str = KEY) -> dict[str, Any]:
    reply = running.post("/api/signup", {"cursorApiKey": key})
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json()
    return found


def chat(running: Site, token: str, path: str = "/v1/chat/completions", **body: object) -> Reply:
    asked = {"model": "composer-2.5", "messages": [{"role": "user", "content": "hi"}], **body}
    return running.post(path, asked, authorization=f"Bearer {token}")


@pytest.mark.parametrize(
    "path", ["/api/signup", "/v1/chat/completions", "/u/acct_1/v1/models", "/api/account"]
)
def test_gone_by_default(fresh: Site, path: str) -> None:
    for method in ("GET", "POST"):
        reply = fresh.ask(path, method)
        assert (reply.status, reply.code) == (410, "hosted_api_ended")
        assert "/download" in reply.json()["error"]["message"]


def test_signing_up(running: Site, world: Elsewhere) -> None:
    found = sign_up(running)
    assert found["account"] == {
        "id": "acct_48daae92de6ce1141698089b",
        "cursorEmail": "Ada@Example.test",
        "cursorName": "Ada L",
        "cursorApiKeyHint": "WXYZ",
    }
    assert found["apiKey"].startswith("cmp_") and len(found["apiKey"]) == 47
    assert found["endpoints"]["accountBaseUrl"] == f"{running.url}/u/{found['account']['id']}/v1"
    assert world.asked[0][2]["authorization"] == f"Bearer {KEY}"
    again = sign_up(running)
    assert again["account"]["id"] == found["account"]["id"]
    assert again["apiKey"] != found["apiKey"]


def test_people_are_told_the_public_address(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    """Behind a proxy, what the request was sent to is known to nobody outside."""
    public = {"PUBLIC_URL": "https://site.test"}
    world.answer("GET", "/v1/me", 200, {"userId": 42})
    with host.site(tmp_path, {**settings(world), **public}) as running:
        endpoints = sign_up(running)["endpoints"].values()
        assert [url.startswith("https://site.test/") for url in endpoints] == [True] * 4
    with host.site(tmp_path, public) as running:
        assert "https://site.test/download" in running.ask("/v1/models").json()["error"]["message"]


def test_what_is_kept_is_not_what_was_given(running: Site, tmp_path: Path) -> None:
    token = sign_up(running)["apiKey"]
    asked = {"messages": [{"role": "user", "content": "a question"}]}
    headers = {"authorization": f"Bearer {token}", "x_session_affinity": "a session"}
    assert running.post("/v1/chat/completions", asked, **headers).status == 200
    while not all(kept := [running.rows(f"SELECT * FROM {table}") for table in TABLES]):
        time.sleep(0.01)  # the log's row comes when the answer has been sent
    written = [json.dumps(rows).encode() for rows in kept]
    for data in (*written, *(path.read_bytes() for path in tmp_path.glob("site.sqlite*"))):
        for given in (KEY, token, "a question", "a session", "Hello world"):
            assert given.encode() not in data


@pytest.mark.parametrize(
    "status, expected, code",
    [(401, 401, "cursor_unauthorized"), (429, 429, "cursor_api_error"), (500, 502, "cursor_api_error"),
     (418, 400, "cursor_api_error")],
)  # fmt: skip
def test_keys_that_cursor_refuses(
    running: Site, world: Elsewhere, status: int, expected: int, code: str
) -> None:
    world.answer("GET", "/v1/me", status, {"detail": "a secret"})
    reply = running.post("/api/signup", {"cursorApiKey": KEY})
    assert (reply.status, reply.code) == (expected, code)
    assert b"secret" not in reply.body and KEY.encode() not in reply.body


@pytest.mark.parametrize("key", ["", "   ", None, 7, "cmp_" + "x" * 43, "ключ", "a\nb", "x" * 600])
def test_keys_that_are_none(running: Site, world: Elsewhere, key: object) -> None:
    assert running.post("/api/signup", {"cursorApiKey": key}).status == 400
    assert world.asked == []


def test_chat_and_what_the_bridge_sees(running: Site, world: Elsewhere) -> None:
    found = sign_up(running)
    for path in ("/v1", f"/u/{found['account']['id']}/v1"):
        reply = chat(running, found["apiKey"], f"{path}/chat/completions")
        assert reply.status == 200
        assert reply.json()["choices"][0]["message"]["content"] == "Hello world"
        assert reply.json()["usage"]["prompt_tokens"] == 8
    _, _, headers, body = world.asked[-1]
    assert headers["authorization"] == "Bearer bridge-token"
    asked = json.loads(body)
    assert (asked["key"], asked["turns"]) == (KEY, [{"role": "user", "text": "hi"}])
    assert found["apiKey"] not in body.decode()


def test_the_key_may_come_as_x_api_key(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    assert running.ask("/v1/models", x_api_key=token).status == 200
    assert running.ask("/v1/models", authorization=f"bearer {token}").status == 200


def test_a_raw_cursor_key(running: Site, world: Elsewhere) -> None:
    assert chat(running, KEY).status == 200
    assert json.loads(world.asked[-1][3])["key"] == KEY
    account = sign_up(running)["account"]["id"]
    assert chat(running, KEY, f"/u/{account}/v1/chat/completions").status == 401


@pytest.mark.parametrize(
    "token", ["", "cmp_", "cmp_unknown", "' OR 1=1 --", "cmp_' OR '1'='1", "x", "é" * 10]
)
def test_unknown_tokens(running: Site, world: Elsewhere, token: str) -> None:
    reply = running.ask("/v1/models", authorization=f"Bearer {token}")
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert world.asked == []


def test_a_token_is_of_its_own_account_only(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    reply = chat(running, token, "/u/acct_another/v1/chat/completions")
    assert (reply.status, reply.code) == (403, "forbidden")


def test_streams_and_clients(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0)
    chunks = client.chat.completions.create(
        model="composer-2.5", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello world"
    first = client.responses.create(model="composer-2.5", input="hi")
    assert first.output_text == "Hello world"
    second = client.responses.create(model="composer-2.5", input="more", previous_response_id=first.id)
    assert client.responses.retrieve(second.id).id == second.id
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(first.id)


def test_nobody_goes_on_from_anothers_response(running: Site, world: Elsewhere) -> None:
    mine = sign_up(running)["apiKey"]
    world.answer("GET", "/v1/me", 200, {"userId": 43})
    yours = sign_up(running, KEY + "2")["apiKey"]
    ours = openai.OpenAI(base_url=f"{running.url}/v1", api_key=mine, max_retries=0)
    theirs = openai.OpenAI(base_url=f"{running.url}/v1", api_key=yours, max_retries=0)
    kept = ours.responses.create(model="composer-2.5", input="hi")
    with pytest.raises(openai.NotFoundError):
        theirs.responses.retrieve(kept.id)


def test_tokens_are_made_replaced_and_revoked(running: Site) -> None:
    first = sign_up(running)["apiKey"]
    bearer: dict[str, Any] = {"authorization": f"Bearer {first}"}
    second = running.post("/api/account/keys", {"name": "laptop"}, **bearer).json()["apiKey"]
    shown = running.ask("/api/account", **bearer).json()
    assert [key["name"] for key in shown["keys"]] == ["laptop", "default"]
    assert first not in json.dumps(shown) and shown["keys"][1]["prefix"] == first[:14]
    third = running.ask("/api/account/keys/rotate", "POST", **bearer).json()["apiKey"]
    assert running.ask("/v1/models", **bearer).status == 401
    assert running.ask("/v1/models", authorization=f"Bearer {third}").status == 200
    laptop = shown["keys"][0]["id"]
    gone = running.ask(f"/api/account/keys/{laptop}", "DELETE", authorization=f"Bearer {third}")
    assert (gone.status, running.ask("/v1/models", authorization=f"Bearer {second}").status) == (200, 401)
    again = running.ask(f"/api/account/keys/{laptop}", "DELETE", authorization=f"Bearer {third}")
    assert again.status == 404


def test_the_eleventh_token_ends_the_first(running: Site) -> None:
    first = sign_up(running)["apiKey"]
    for _ in range(10):
        assert running.ask("/v1/models", authorization=f"Bearer {first}").status == 200
        running.clock.seconds += 1
        assert running.post("/api/account/keys", {}, authorization=f"Bearer {first}").status == 201
    assert running.ask("/v1/models", authorization=f"Bearer {first}").status == 401


def test_leaving(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    assert chat(running, token).status == 200
    assert running.ask("/api/account", "DELETE", authorization=f"Bearer {token}").json()["deleted"] is True
    assert running.ask("/v1/models", authorization=f"Bearer {token}").status == 401
    for table in TABLES:
        assert running.rows(f"SELECT count(*) AS n FROM {table}") == [{"n": 0}]


def test_sessions_go_on_for_six_hours(running: Site, world: Elsewhere) -> None:
    token = sign_up(running)["apiKey"]

    def agent(session: str) -> str:
        asked = {"messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {token}", "x_session_affinity": session}
        assert running.post("/v1/chat/completions", asked, **headers).status == 200
        return str(json.loads(world.asked[-1][3])["session"])

    first = agent("one")
    assert first.startswith("agent-") and "one" not in first
    running.clock.seconds += 5 * 3600
    assert (agent("one"), agent("two") == first) == (first, False)
    running.clock.seconds += 6 * 3600 + 1
    assert agent("one") != first


def test_sessions_that_have_ended_are_forgotten(running: Site) -> None:
    asked = {"messages": [{"role": "user", "content": "hi"}]}
    token = sign_up(running)["apiKey"]
    for session in ("one", "two"):
        headers = {"authorization": f"Bearer {token}", "x_session_affinity": session}
        assert running.post("/v1/chat/completions", asked, **headers).status == 200
        running.clock.seconds += 7 * 3600
    assert len(running.rows("SELECT id FROM sdk_sessions")) == 1


def test_requests_are_logged_without_what_was_said(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    assert chat(running, token).status == 200
    assert chat(running, token, model="gpt-4").status == 404
    assert chat(running, token, stream=True).status == 200
    rows: list[dict[str, Any]] = []
    while len(rows) < 3:  # a row is written when its answer has been sent
        rows = running.rows("SELECT * FROM request_logs ORDER BY rowid")
    assert [(row["status"], row["prompt_tokens"], row["error_code"]) for row in rows] == [
        (200, 8, None),
        (404, None, "model_not_found"),
        (200, 8, None),
    ]
    assert not [word for word in ("hi", "Hello") if word in json.dumps(rows)]


def test_requests_leave_the_log(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    with host.site(tmp_path, {**settings(world), "HOSTED_LOG_DAYS": "2"}) as running:
        running.rows(
            """INSERT INTO request_logs (id, endpoint, status, created_at)
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
               SELECT 'old ' || i, '/v1/models', 200, '2020-01-01T00:00:00.000Z' FROM n"""
        )
        began, days = running.clock.seconds, 2 * 86_400
        counts = [logged_after(running, began + more) for more in (50, 100, 200, days, days + 50, days + 100)]
    # Only in one second of a hundred are old ones removed, and no more than a thousand at a time.
    assert counts == [1501, 502, 3, 4, 5, 5]


def logged_after(running: Site, now: float) -> int:
    """Make a request at a time, wait for its row, and give how many there are then."""
    running.clock.seconds = now
    assert running.ask("/v1/models", authorization=f"Bearer {KEY}").status == 200
    written = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    while not running.rows(f"SELECT id FROM request_logs WHERE created_at = '{written}'"):
        time.sleep(0.01)
    return int(running.rows("SELECT count(*) AS n FROM request_logs")[0]["n"])


def test_the_log_is_not_read_as_a_whole_to_find_what_is_old(tmp_path: Path) -> None:
    database = Sqlite(tmp_path / "site.sqlite")
    database.migrate()
    plan = database._rows(f"EXPLAIN QUERY PLAN {logs._FORGET}", ("2026",))
    database.close()
    assert "USING COVERING INDEX request_logs_created" in " ".join(step["detail"] for step in plan)


def test_limits_of_a_key(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    with host.site(tmp_path, {**settings(world), "HOSTED_REQUESTS_A_MINUTE": "3"}) as running:
        statuses = [running.ask("/v1/models", authorization=f"Bearer {KEY}").status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        other = running.ask("/v1/models", authorization="Bearer crsr_another-key")
        assert other.status == 200


def test_limits_of_an_address_that_tries_keys(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    with host.site(tmp_path, {**settings(world), "HOSTED_REQUESTS_A_MINUTE": "1"}) as running:
        asked = [running.ask("/v1/models", authorization=f"Bearer crsr_{n:012}") for n in range(6)]
        assert [reply.status for reply in asked] == [200] * 5 + [429]


def test_limits_of_signing_up(running: Site) -> None:
    statuses = [running.post("/api/signup", {"cursorApiKey": KEY}).status for _ in range(11)]
    assert statuses == [200] * 10 + [429]


@pytest.mark.parametrize(
    "status, body, expected",
    [
        (200, lines([{"event": "failed", "kind": "rate_limit", "message": "slow down"}]), 429),
        (200, lines(EVENTS[:1]), 502),
        (200, b"no json\n", 502),
        (200, b"", 502),
        (401, b'{"error": {"message": "Missing or invalid authorization"}}', 503),
        (401, b'{"error": {"message": "bad", "kind": "authentication", "retryable": false}}', 401),
        (504, b'{"error": {"message": "late", "kind": "timeout"}}', 504),
        (500, b"<html>a secret</html>", 502),
    ],
)
def test_a_bridge_that_fails(
    running: Site, world: Elsewhere, status: int, body: bytes, expected: int
) -> None:
    world.answer("POST", "/run", status, body)
    token = sign_up(running)["apiKey"]
    reply = chat(running, token)
    assert reply.status == expected
    assert b"secret" not in reply.body and KEY.encode() not in reply.body


def test_a_bridge_that_is_silent(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    with host.site(tmp_path, {**settings(world), "CURSOR_SDK_BRIDGE_TIMEOUT_MS": "300"}) as running:
        world.delay = 2
        reply = chat(running, KEY)
        assert (reply.status, reply.code) == (504, "cursor_sdk_timeout")


def test_a_stream_that_breaks(running: Site, world: Elsewhere) -> None:
    world.answer("POST", "/run", 200, lines(EVENTS[:1]))
    reply = chat(running, sign_up(running)["apiKey"], stream=True)
    assert reply.status == 200
    assert b"event: error" in reply.body and b"[DONE]" not in reply.body


def test_bodies_are_bounded(running: Site) -> None:
    token = sign_up(running)["apiKey"]
    reply = chat(running, token, messages=[{"role": "user", "content": "x" * 21_000_000}])
    assert (reply.status, reply.code) == (413, "body_too_large")


def test_a_database_that_is_down(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    with host.site(tmp_path, settings(world), down=["DB"]) as running:
        for reply in (
            running.post("/api/signup", {"cursorApiKey": KEY}),
            running.ask("/v1/models", authorization="Bearer cmp_" + "x" * 43),
        ):
            assert (reply.status, reply.code) == (503, "unavailable")
            assert b"secret" not in reply.body


def test_a_database_that_is_not_bound(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    world.answer("GET", "/v1/me", 200, {"userId": 42})
    world.answer("POST", "/run", 200, lines(EVENTS))
    with host.site(tmp_path, settings(world), without=["DB"]) as running:
        for reply in (
            running.post("/api/signup", {"cursorApiKey": KEY}),
            running.ask("/api/account", authorization="Bearer cmp_" + "x" * 43),
        ):
            assert (reply.status, reply.code) == (503, "not_configured")
        assert chat(running, KEY).status == 200  # a Cursor key needs none


def test_encryption_keys() -> None:
    assert encryption_key("00" * 32) == bytes(32)
    assert encryption_key("A" * 43 + "=") == bytes(32)
    assert len(encryption_key("sixteen letters!")) == 32
    for bad in (None, "", "short", "fifteen letters"):
        with pytest.raises(Refusal):
            encryption_key(bad)


def test_account_ids() -> None:
    assert account_id(42, None, KEY) == "acct_48daae92de6ce1141698089b"
    assert account_id(None, "A@B.cc", KEY) == account_id("", "a@b.CC", "another")
    assert account_id(None, None, KEY) != account_id(None, None, "another")


def test_another_encryption_key_cannot_read_the_old(host: Host, tmp_path: Path, world: Elsewhere) -> None:
    world.answer("GET", "/v1/me", 200, {"userId": 42})
    with host.site(tmp_path, settings(world)) as running:
        token = sign_up(running)["apiKey"]
    with host.site(tmp_path, {**settings(world), "ENCRYPTION_KEY": "quite another secret"}) as running:
        reply = chat(running, token)
        assert (reply.status, reply.code) == (503, "account_unreadable")


def test_migrations_from_empty_and_from_the_first(tmp_path: Path) -> None:
    names = [path.name for path in sorted(MIGRATIONS.glob("*.sql"))]
    empty = Sqlite(tmp_path / "empty.sqlite")
    assert empty.migrate() == names
    assert empty.migrate() == []
    empty.close()
    first = tmp_path / "first"
    first.mkdir()
    (first / names[0]).write_text((MIGRATIONS / names[0]).read_text())
    old = Sqlite(tmp_path / "old.sqlite")
    assert old.migrate(first) == names[:1]
    old._write([("INSERT INTO accounts VALUES ('a','1','e','n','c','i','h',0,'t','t')", ())])
    old._write([("INSERT INTO api_keys VALUES ('k','a','cmp_','hash','default','t',NULL,NULL)", ())])
    old._write(
        [("INSERT INTO request_logs (id, endpoint, status, created_at) VALUES ('r','/v1',200,'t')", ())]
    )
    assert old.migrate() == names[1:]
    for table, id in (("accounts", "a"), ("api_keys", "k"), ("request_logs", "r")):
        assert old._rows(f"SELECT id FROM {table}", ()) == [{"id": id}]
    old.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "0001_bad.sql").write_text("CREATE TABLE a (x);\nCREATE TABLE a (y);\n")
    database = Sqlite(tmp_path / "site.sqlite")
    with pytest.raises(Unavailable, match="0001_bad"):
        database.migrate(tmp_path)
    database.close()
    with sqlite3.connect(tmp_path / "site.sqlite") as plain:
        tables = {row[0] for row in plain.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert "a" not in tables
