"""The event that starts a finalizer: hostile until it has been held against what it may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from errors import Exit, Fault
from release import dispatch
from worker import notary_webhook

GOOD = {
    "version": "1.2.3",
    "build": "57.1",
    "run_id": "42",
    "artifact": "pending-1.2.3-57.1",
    "dmg": "API-for-Cursor-1.2.3-57.1.dmg",
    "ref": "refs/tags/v1.2.3",
}


def environment(tmp_path: Path, event: Any) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_bytes(event if isinstance(event, bytes) else json.dumps(event).encode())
    return {"GITHUB_EVENT_PATH": str(path)}


def dispatched(payload: Any, action: str = dispatch.EVENT) -> dict[str, Any]:
    return {"action": action, "client_payload": payload, "branch": "main"}


def test_a_payload_of_the_site(tmp_path: Path) -> None:
    asked = dispatch.read(environment(tmp_path, dispatched(GOOD)))
    assert (asked.version, asked.build, asked.run_id) == ("1.2.3", "57.1", "42")


def test_a_form_filled_in_by_hand(tmp_path: Path) -> None:
    event = {"inputs": {"version": "1.2.3", "build": "57", "run_id": ""}, "ref": "refs/heads/main"}
    assert dispatch.read(environment(tmp_path, event)) == dispatch.Asked("1.2.3", "57")


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1.2.3; rm -rf /"},
        {"version": "$(id)"},
        {"version": "1.2.3\n"},
        {"version": "../../x"},
        {"version": "1" * 99},
        {"version": ["1.2.3"]},
        {"version": ""},
        {"build": "57`id`"},
        {"build": 57},
        {"run_id": "-1"},
        {"run_id": "9" * 30},
        {"artifact": "pending-1.2.3-58"},
        {"artifact": "../secrets"},
        {"dmg": "x.dmg; true"},
        {"ref": "refs/heads/main"},
        {"ref": "refs/tags/v1.2.4"},
        {"ref": "refs/pull/7/head"},
        {"more": "x"},
        {"--set": "profiles.production.publish.endpoint=http://evil.test"},
    ],
)
def test_a_payload_that_is_not_ours(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(Fault) as caught:
        dispatch.read(environment(tmp_path, dispatched({**GOOD, **change})))
    assert caught.value.status is Exit.USAGE
    assert caught.value.cure


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b" " * (2 << 20),
        {},
        {"inputs": None},
        {"client_payload": GOOD},
        dispatched(GOOD, "another-event"),
        dispatched([]),
        dispatched(None),
    ],
)
def test_an_event_of_another_kind(tmp_path: Path, event: Any) -> None:
    with pytest.raises(Fault) as caught:
        dispatch.read(environment(tmp_path, event))
    assert caught.value.status is Exit.USAGE


def test_without_an_event(tmp_path: Path) -> None:
    for environ in ({}, {"GITHUB_EVENT_PATH": str(tmp_path / "absent")}):
        with pytest.raises(Fault) as caught:
            dispatch.read(environ)
        assert caught.value.status is Exit.USAGE


def test_site_and_finalizer_know_the_same_fields() -> None:
    assert set(dispatch.Asked.__struct_fields__) == set(notary_webhook.FIELDS)
    assert dispatch.EVENT == notary_webhook.EVENT


def test_another_release_than_asked_for() -> None:
    asked = dispatch.Asked("1.2.3", "57")
    dispatch.require_same(asked, "1.2.3", "57", "x")
    dispatch.require_same(None, "1.2.3", "58", "x")
    with pytest.raises(Fault) as caught:
        dispatch.require_same(asked, "1.2.3", "58", "x")
    assert "57" in str(caught.value) and "58" in str(caught.value)
