"""Early access and the notary's webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.hosts import Elsewhere, Host, Site

TOKEN = "a-long-webhook-token"
QUERY = (
    "version=1.2.0&build=10&run_id=42&artifact=pending-1.2.0&dmg=API-for-Cursor-1.2.0-10.dmg"
    "&ref=refs/tags/v1.2.0"
)


@pytest.fixture
def running(host: Host, tmp_path: Path, world: Elsewhere) -> Iterator[Site]:
    settings = {
        "WAITLIST_URL": f"{world.url}/waitlist",
        "WAITLIST_API_TOKEN": "waitlist-token",
        "NOTARY_WEBHOOK_TOKEN": TOKEN,
        "GITHUB_RELEASE_DISPATCH_TOKEN": "github-token",
        "GITHUB_REPOSITORY": "someone/app",
        "GITHUB_API_URL": world.url,
    }
    world.answer("POST", "/waitlist", 201, {"ok": True})
    world.answer("POST", "/repos/someone/app/dispatches", 204, b"")
    with host.site(tmp_path, settings) as found:
        yield found


def test_early_access(running: Site, world: Elsewhere) -> None:
    reply = running.post("/api/early-access", {"name": " Ada ", "email": "ada@example.test"})
    assert (reply.status, reply.json()) == (200, {"ok": True})
    _, _, headers, body = world.asked[0]
    assert headers["authorization"] == "Bearer waitlist-token"
    assert json.loads(body) == {"name": "Ada", "email": "ada@example.test", "source": "api-for-cursor"}


def test_early_access_from_the_form_itself(running: Site, world: Elsewhere) -> None:
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    form = b"name=Ada+L&email=ada%40example.test"
    reply = running.ask("/api/early-access", "POST", form, content_type=kind)
    assert (reply.status, reply.headers["location"]) == (303, "/?joined=1#early")
    assert json.loads(world.asked[0][3])["name"] == "Ada L"


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "name"),
        ({"name": "Ada"}, "email"),
        ({"name": "Ada", "email": "nobody"}, "email"),
        ({"name": "Ada", "email": "a@b"}, "email"),
        ({"name": "Ada", "email": "a@b.cc\r\nBcc: x@y.zz"}, "email"),
        ({"name": ["Ada"], "email": "a@b.cc"}, "name"),
        ({"name": "A" * 201, "email": "a@b.cc"}, "name"),
        ({"name": "A\x00", "email": "a@b.cc"}, "name"),
    ],
)
def test_early_access_refuses(running: Site, world: Elsewhere, body: object, param: str) -> None:
    reply = running.post("/api/early-access", body)
    assert (reply.status, reply.json()["error"]["param"]) == (400, param)
    assert world.asked == []


def test_bodies_of_other_kinds(running: Site) -> None:
    assert running.ask("/api/early-access", "POST", b"{}", content_type="text/plain").status == 415
    for body in (b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000):
        reply = running.ask("/api/early-access", "POST", body, content_type="application/json")
        assert reply.status in (400, 413), body[:20]
    long = json.dumps({"name": "A" * 20_000}).encode()
    assert running.ask("/api/early-access", "POST", long, content_type="application/json").status == 413


def test_the_list_is_down(running: Site, world: Elsewhere) -> None:
    world.answer("POST", "/waitlist", 500, {"detail": "a secret"})
    reply = running.post("/api/early-access", {"name": "Ada", "email": "ada@example.test"})
    assert (reply.status, reply.code) == (502, "waitlist_failed")
    assert b"secret" not in reply.body


def test_too_many_of_one_address(running: Site) -> None:
    body = {"name": "Ada", "email": "ada@example.test"}
    statuses = [running.post("/api/early-access", body).status for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    running.clock.seconds += 3600
    assert running.post("/api/early-access", body).status == 200


def test_nothing_is_set_up(fresh: Site) -> None:
    reply = fresh.post("/api/early-access", {"name": "Ada", "email": "ada@example.test"})
    assert (reply.status, reply.code) == (503, "not_configured")
    assert fresh.post(f"/api/notary/webhook/{TOKEN}?{QUERY}", {}).status == 404


def test_the_webhook(running: Site, world: Elsewhere) -> None:
    reply = running.post(f"/api/notary/webhook/{TOKEN}?{QUERY}", {"event": "processing-complete"})
    assert (reply.status, reply.json()) == (202, {"dispatched": True})
    _, path, headers, body = world.asked[0]
    assert path == "/repos/someone/app/dispatches"
    assert headers["authorization"] == "Bearer github-token"
    assert json.loads(body) == {
        "event_type": "apple-notary-complete",
        "client_payload": {
            "version": "1.2.0",
            "build": "10",
            "run_id": "42",
            "artifact": "pending-1.2.0",
            "dmg": "API-for-Cursor-1.2.0-10.dmg",
            "ref": "refs/tags/v1.2.0",
        },
    }


@pytest.mark.parametrize("token", ["wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "%20", "..", "%C3%A4"])
def test_a_forged_webhook(running: Site, world: Elsewhere, token: str) -> None:
    assert running.post(f"/api/notary/webhook/{token}?{QUERY}", {}).status == 404
    assert world.asked == []


@pytest.mark.parametrize(
    "change",
    [
        ("version=1.2.0", "version="),
        ("version=1.2.0", "version=1.2;rm"),
        ("build=10", "build=ten"),
        ("run_id=42", "run_id=-1"),
        ("artifact=pending-1.2.0", "artifact=a/../b"),
        ("dmg=API-for-Cursor-1.2.0-10.dmg", "dmg=../x.dmg"),
        ("dmg=API-for-Cursor-1.2.0-10.dmg", "dmg=x%0ay.dmg"),
        ("ref=refs/tags/v1.2.0", "ref=refs/tags/../../x"),
        ("ref=refs/tags/v1.2.0", "ref=$(id)"),
    ],
)
def test_a_payload_that_is_not_ours(running: Site, world: Elsewhere, change: tuple[str, str]) -> None:
    reply = running.post(f"/api/notary/webhook/{TOKEN}?{QUERY.replace(*change)}", {})
    assert (reply.status, reply.code) == (400, "invalid_request_error")
    assert world.asked == []


def test_github_is_down(running: Site, world: Elsewhere) -> None:
    world.answer("POST", "/repos/someone/app/dispatches", 403, {"message": "a secret"})
    reply = running.post(f"/api/notary/webhook/{TOKEN}?{QUERY}", {})
    assert (reply.status, reply.code) == (502, "dispatch_failed")
    assert b"secret" not in reply.body


def test_without_a_token_for_github(host: Host, tmp_path: Path) -> None:
    with host.site(tmp_path, {"NOTARY_WEBHOOK_TOKEN": TOKEN}) as running:
        reply = running.post(f"/api/notary/webhook/{TOKEN}?{QUERY}", {})
        assert (reply.status, reply.code) == (503, "not_configured")


def test_methods(running: Site) -> None:
    for path in ("/api/early-access", f"/api/notary/webhook/{TOKEN}"):
        reply = running.ask(path)
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
