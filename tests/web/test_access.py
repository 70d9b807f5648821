"""Who is let in to the pages."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from app.errors import AppError
from app.shell.events import State
from app.shell.menu import status_menu
from app.web.access import KEY_FILE, TICKET_LIFE, Access, link, load_key, ticket
from tests.app.disks import on_a_disk
from tests.web.conftest import ADDRESS, Pages

NOW = 1_800_000_000.0


def at(seconds: float) -> Access:
    return Access(b"k" * 32, 8787, lambda: NOW + seconds)


def made(port: int = 8787, key: bytes = b"k" * 32) -> str:
    return ticket(key, port, lambda: NOW)


def test_a_ticket_lets_in_once() -> None:
    access, one = at(1), made()
    assert access.admits(one)
    assert not access.admits(one)
    assert access.admits(made())


@pytest.mark.parametrize("seconds", [-TICKET_LIFE - 1, TICKET_LIFE, 10_000])
def test_a_ticket_lasts_a_minute_and_a_clock_that_jumps_makes_none_last_longer(seconds: float) -> None:
    assert not at(seconds).admits(made())


def test_only_tickets_of_this_key_and_port_let_in() -> None:
    other = made()
    assert not at(0).admits(made(port=8788))
    assert not at(0).admits(made(key=b"x" * 32))
    assert not at(0).admits(other.replace(".", ".x", 1))
    for odd in ("", ".", "..", "a.b.c", "9" * 400 + ".x.y", "nan.x.y", "ü.ü.ü"):
        assert not at(0).admits(odd)


def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    key = load_key(folder)
    assert len(key) == 32
    assert load_key(folder) == key
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def test_a_key_that_others_could_read_or_that_is_broken_is_replaced(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    second = load_key(tmp_path)
    assert second != key
    (tmp_path / KEY_FILE).write_bytes(b"short")
    assert load_key(tmp_path) not in (key, second, b"short")


def test_many_at_once_get_the_same_key(tmp_path: Path) -> None:
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(load_key(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AppError, match="cannot keep the pages' key in"):
        load_key(tmp_path / "file" / "data")


def test_the_closed_door_names_what_the_menu_has(outside: Pages) -> None:
    items = [item.title for item in status_menu(State(), updates=True) if item and item.action == "open"]
    assert f"<strong>{items[0]}</strong>" in outside.client.get("/app/").text


def test_a_full_disk_is_said_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    script = """
import sys, pathlib
from app.errors import AppError
from app.web.access import load_key
folder = pathlib.Path(sys.argv[1])
with (folder / "fill").open("wb", buffering=0) as fill:
    try:
        while True: fill.write(bytes(1000))
    except OSError: pass
try: load_key(folder)
except AppError as error: print(error)
print([path.name for path in folder.iterdir()])
"""
    done = on_a_disk(tmp_path, "size=16k", script)
    assert done.stdout.splitlines() == [
        f"cannot keep the pages' key in {tmp_path}: No space left on device:"
        " make room on the disk and try again; nothing was changed",
        "['fill']",
    ]


def test_pages_that_cannot_be_shown_say_why(outside: Pages) -> None:
    folder = outside.state.settings.data_dir
    (folder / KEY_FILE).mkdir(parents=True)
    answer = outside.client.get("/app/")
    assert answer.status_code == 500
    assert "cannot keep the pages' key" in answer.text
    (folder / KEY_FILE).rmdir()
    assert outside.client.get("/app/").status_code == 403


PLACES = ["/app/", "/app/agents", "/app/activity", "/app/activity/events", "/app/settings", "/app/welcome"]


@pytest.mark.parametrize("path", PLACES)
def test_without_the_cookie_nothing_is_shown(outside: Pages, path: str) -> None:
    answer = outside.client.get(path)
    assert answer.status_code == 403
    assert "Open it from the app" in answer.text
    assert outside.client.cookies == {}


@pytest.mark.parametrize("path", ["static/none.css", "static/..%2fsettings", "enter", "enter/x", "entering"])
def test_what_is_open_gives_nothing_away(outside: Pages, path: str) -> None:
    answer = outside.client.get(f"/app/{path}")
    assert answer.status_code in (403, 404)
    assert 'name="token"' not in answer.text
    assert "127.0.0.1:8787" not in answer.text


def test_a_link_sets_a_cookie_that_other_sites_and_scripts_cannot_use(outside: Pages) -> None:
    answer = outside.client.get(link(outside.state.settings.data_dir, ADDRESS.url, "settings"))
    assert "url=/app/settings" in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/app" in cookie
    assert outside.client.get("/app/settings").status_code == 200


def test_a_used_link_lets_nobody_in(outside: Pages) -> None:
    address = link(outside.state.settings.data_dir, ADDRESS.url)
    assert outside.client.get(address).status_code == 200
    outside.client.cookies.clear()
    assert outside.client.get(address).status_code == 403
    assert outside.client.get("/app/").status_code == 403


def test_a_link_leads_to_no_other_site(outside: Pages) -> None:
    answer = outside.client.get(link(outside.state.settings.data_dir, ADDRESS.url, "//evil.example"))
    assert 'url=/app/"' in answer.text
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://tool.example"},  # let in to the API by the settings
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
def test_other_origins_read_nothing_even_with_the_cookie(pages: Pages, headers: dict[str, str]) -> None:
    answer = pages.client.get("/app/", headers=headers)
    assert answer.status_code == 403
    assert "127.0.0.1:8787/v1" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://tool.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_other_origins_change_nothing_even_with_cookie_and_token(
    pages: Pages, headers: dict[str, str]
) -> None:
    answer = pages.post("/app/key", headers=headers, key="key_of_another_site", unchecked="yes")
    assert answer.status_code == 403
    assert pages.state.keys.held.state == "absent"


@pytest.mark.parametrize("token", ["", "x", "ü"])
def test_a_change_needs_this_start_s_token(pages: Pages, token: str) -> None:
    answer = pages.client.post("/app/settings", data={"token": token, "port": "9000"})
    assert answer.status_code == 409
    assert "Load it again" in answer.text
    assert pages.state.preferences().preferences.port == 8787


def test_a_change_is_a_form_and_not_a_long_one(pages: Pages) -> None:
    assert pages.client.post("/app/settings", json={"port": 1}).status_code == 415
    answer = pages.client.post(
        "/app/settings",
        content=b"token=" + b"x" * 70_000,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


def test_every_answer_has_the_headers(outside: Pages) -> None:
    for path in ("/app/", "/app/enter", "/app/static/app.css", "/app/static/none.css"):
        headers = outside.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
