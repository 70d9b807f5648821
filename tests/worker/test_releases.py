"""Downloads and the feed, over HTTP as a client sees them."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worker.conftest import FEED, IMAGE, SMALL
from tests.worker.hosts import Host, RemoteSite, Site, Uvicorn
from worker.paths import BadPath, key_of
from worker.ports import Object
from worker.ranges import Slice, requested

DMG = "/releases/API-for-Cursor-latest.dmg"
VERSIONED = "/releases/API-for-Cursor-1.2.0-10.dmg"


def test_an_image(public: Site) -> None:
    reply = public.ask(DMG)
    assert (reply.status, reply.body == IMAGE) == (200, True)
    assert reply.headers["content-type"] == "application/x-apple-diskimage"
    assert reply.headers["content-disposition"] == 'attachment; filename="API-for-Cursor-latest.dmg"'
    assert reply.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=300"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path, kind, caching",
    [
        ("/appcast.xml", "application/rss+xml; charset=utf-8", "max-age=60"),
        (VERSIONED, "application/x-apple-diskimage", "immutable"),
        ("/releases/1.2.0/10.json", "application/json", "immutable"),
        ("/releases/notes.html", "text/html; charset=utf-8", "max-age=60"),
    ],
)
def test_types_and_caching(public: Site, path: str, kind: str, caching: str) -> None:
    reply = public.ask(path)
    assert (reply.status, reply.headers["content-type"]) == (200, kind)
    assert caching in reply.headers["cache-control"]


def test_a_page_from_the_bucket_can_do_nothing(public: Site) -> None:
    assert "sandbox" in public.ask("/releases/notes.html").headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/appcast.xml", DMG, VERSIONED, "/releases/1.2.0/10.json"])
def test_head_says_what_get_says(public: Site, path: str) -> None:
    whole, head = public.ask(path), public.ask(path, "HEAD")
    ours = {name: value for name, value in whole.headers.items() if name != "date"}
    assert (head.status, head.body) == (200, b"")
    assert {name: value for name, value in head.headers.items() if name != "date"} == ours
    assert int(head.headers["content-length"]) == len(whole.body)


@pytest.mark.parametrize(
    "asked, status, part",
    [
        ("bytes=0-0", 206, IMAGE[:1]),
        ("bytes=5-9", 206, IMAGE[5:10]),
        ("bytes=4194300-", 206, IMAGE[-4:]),
        ("bytes=4194300-99999999999", 206, IMAGE[-4:]),
        ("bytes=-3", 206, IMAGE[-3:]),
        ("bytes=-99999999", 206, IMAGE),
        ("bytes=4194304-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,5-6", 416, None),
        (f"bytes={'9' * 5000}-", 416, None),
        ("bytes=9-5", 200, IMAGE),
        ("bytes=", 200, IMAGE),
        ("bytes=x-y", 200, IMAGE),
        ("lines=1-2", 200, IMAGE),
    ],
)
def test_ranges(public: Site, asked: str, status: int, part: bytes | None) -> None:
    reply = public.ask(DMG, range=asked)
    assert reply.status == status
    if part is not None:
        assert reply.body == part
        assert int(reply.headers["content-length"]) == len(part)
    if status == 416:
        assert reply.headers["content-range"] == f"bytes */{len(IMAGE)}"


def test_a_range_says_which(public: Site) -> None:
    reply = public.ask(DMG, range="bytes=-3")
    assert reply.headers["content-range"] == f"bytes {len(IMAGE) - 3}-{len(IMAGE) - 1}/{len(IMAGE)}"


def test_conditions(public: Site) -> None:
    first = public.ask(DMG, "HEAD")
    etag, date = first.headers["etag"], first.headers["last-modified"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        reply = public.ask(DMG, if_none_match=known)
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in reply.headers
    assert public.ask(DMG, "HEAD", if_none_match='"other"').status == 200
    assert public.ask(DMG, "HEAD", if_modified_since=date).status == 304
    assert public.ask(DMG, "HEAD", if_modified_since="no date").status == 200
    assert public.ask(DMG, "HEAD", if_match='"other"').status == 412
    assert public.ask(DMG, "HEAD", if_match=etag).status == 200
    assert public.ask(DMG, "HEAD", if_unmodified_since="Mon, 01 Jan 2001 00:00:00 GMT").status == 412


def test_a_range_of_another_version_is_the_whole(public: Site) -> None:
    etag = public.ask(DMG, "HEAD").headers["etag"]
    assert public.ask(DMG, range="bytes=0-1", if_range=etag).status == 206
    assert public.ask(DMG, range="bytes=0-1", if_range='"other"').status == 200
    assert public.ask(DMG, range="bytes=0-1", if_range="Mon, 01 Jan 2001 00:00:00 GMT").status == 200


@pytest.mark.parametrize(
    "query, target",
    [
        ("", DMG),
        ("?channel=stable", DMG),
        ("?arch=arm64", VERSIONED),
        ("?arch=x86_64", "/releases/API-for-Cursor-1.1.0-9.dmg"),
        ("?channel=beta", "/releases/API-for-Cursor-1.3.0-11.dmg"),
        ("?channel=beta&arch=x86_64", "/releases/API-for-Cursor-1.3.0-11.dmg"),
    ],
)
def test_download_leads_to_the_right_image(public: Site, query: str, target: str) -> None:
    reply = public.ask(f"/download{query}")
    assert (reply.status, reply.headers["location"]) == (302, target)
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("query, status", [("?arch=ppc", 400), ("?channel=nightly", 404), ("?arch=", 302)])
def test_download_of_what_is_not_there(public: Site, query: str, status: int) -> None:
    assert public.ask(f"/download{query}").status == status


@pytest.mark.parametrize(
    "path, status",
    [
        ("/releases/", 404),
        ("/releases/nothing.dmg", 404),
        ("/releases/../secret.txt", 404),
        ("/releases/%2e%2e/secret.txt", 404),
        ("/releases/..%2fsecret.txt", 404),
        ("/releases/%2e%2e%2fsecret.txt", 404),
        ("/releases/..%5csecret.txt", 404),
        ("/releases/%252e%252e%252fsecret.txt", 404),
        ("/releases/.%2e/secret.txt", 404),
        ("/releases/a/b/c", 404),
        ("/releases/1.2.0//", 404),
        ("/releases/1.2.0", 404),
        ("/releases//10.json", 404),
        ("/releases/%00", 404),
        ("/releases/x%0d%0aset-cookie:a=b", 404),
        ("/releases/.hidden", 404),
        ("/secret.txt", 404),
        ("/releases/%", 400),
        ("/releases/%zz", 400),
        ("/setup.md%", 400),
        ("/api/%zz", 400),
        ("/releases/%c3%28", 400),
        ("/releases/%ff", 400),
        ("/releases/" + "a" * 3000, 404),
        ("/appcast.xml/", 404),
        ("/nowhere", 404),
    ],
)
def test_paths(public: Site, path: str, status: int) -> None:
    reply = public.ask(path)
    assert reply.status == status
    assert b"nobody" not in reply.body
    assert "set-cookie" not in reply.headers
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_methods(public: Site, method: str) -> None:
    for path in (DMG, "/appcast.xml", "/download"):
        reply = public.ask(path, method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_preflight(public: Site) -> None:
    reply = public.ask(DMG, "OPTIONS", origin="https://example.test")
    assert (reply.status, reply.body) == (204, b"")
    assert "range" in reply.headers["access-control-allow-headers"]


def test_old_hosts_lead_to_the_new_one(public: Site) -> None:
    reply = public.ask("/v1/x%20y?a=1&b=2", "POST", host="cursor-api.example.test")
    assert reply.status == 308
    assert reply.headers["location"] == "https://api-for-composer.standardagents.ai/v1/x%20y?a=1&b=2"


def test_a_replaced_feed_is_seen_at_once(fresh: Site) -> None:
    assert fresh.ask("/appcast.xml").status == 404
    for text in (b"one", b"two", b"three"):
        fresh.put("appcast.xml", text)
        assert [fresh.ask("/appcast.xml").body for _ in range(3)] == [text] * 3


def test_many_at_once_and_some_who_leave(opened: Site) -> None:
    bodies: list[bool] = []

    def whole() -> None:
        bodies.append(opened.ask(DMG).body == IMAGE)

    def leave() -> None:
        import socket

        with socket.create_connection(("127.0.0.1", opened.port)) as connection:
            connection.sendall(f"GET {DMG} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(100)

    threads = [threading.Thread(target=work) for _ in range(12) for work in (whole, leave)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [True] * 12


def test_one_connection_serves_many(public: Site) -> None:
    import requests

    with requests.Session() as session:
        for path in (DMG, "/appcast.xml", "/releases/1.2.0/10.json") * 3:
            assert session.get(public.url + path, timeout=10).status_code == 200
        assert session.get(public.url + "/appcast.xml", timeout=10).text == FEED
        assert session.get(public.url + "/releases/1.2.0/10.json", timeout=10).content == SMALL


def test_a_bucket_that_is_down(host: Host, tmp_path: Path) -> None:
    with host.site(tmp_path, down=["RELEASES"]) as running:
        for path in ("/appcast.xml", DMG, "/download?arch=arm64"):
            reply = running.ask(path)
            assert (reply.status, reply.code) == (503, "unavailable")
            assert b"detail" not in reply.body
            assert reply.headers["retry-after"]
        assert running.ask("/").status == 200  # the page does without


def test_a_bucket_that_is_not_bound(host: Host, tmp_path: Path) -> None:
    with host.site(tmp_path, without=["RELEASES"]) as running:
        assert running.ask("/appcast.xml").status == 503
        assert running.ask("/").status == 200


class Vanishing:
    """A bucket whose object is always another one by the time it is read."""

    def __init__(self, size: int, after: int) -> None:
        self.size, self.after, self.asked = size, after, 0

    async def head(self, key: str) -> Object | None:
        self.asked += 1
        return Object(key, self.size, f'"{self.asked}"', 0)

    async def stream(self, found: Object, start: int, end: int):
        from worker.ports import Vanished

        for _ in range(self.after):
            yield b"x" * 1000
        raise Vanished(found.key)


def test_an_object_that_vanishes_before_it_is_read(tmp_path: Path) -> None:
    with Uvicorn(Vanishing(10_000_000, 0)).site(tmp_path) as running:
        assert running.ask(DMG).status == 503


def test_an_object_that_vanishes_while_it_is_sent(tmp_path: Path) -> None:
    import http.client

    with (
        Uvicorn(Vanishing(10_000_000, 3)).site(tmp_path) as running,
        pytest.raises((http.client.IncompleteRead, ConnectionError)),
    ):
        running.ask(DMG)


# against models


@given(st.integers(0, 60), st.text("0123456789-, bytes=", max_size=14))
def test_ranges_against_a_model(size: int, text: str) -> None:
    found = requested(f"bytes={text}", size)
    if "," in text:
        assert found == "refused"
    elif isinstance(found, Slice):
        assert 0 <= found.start < found.end <= size
        first, _, last = text.strip().partition("-")
        first, last = first.strip(), last.strip()
        if first:
            assert found == Slice(int(first), min(int(last) + 1, size) if last else size)
        else:
            assert found == Slice(max(0, size - int(last)), size)


SEGMENT = st.lists(
    st.sampled_from(["%2e", "%2F", "%5c", "%00", "%", "%c3", ".", "..", "a", "1.2", "/", "~"]), max_size=6
)


@given(SEGMENT)
@settings(max_examples=300)
def test_no_path_leaves_the_releases(parts: list[str]) -> None:
    raw = ("/releases/" + "".join(parts)).encode()
    try:
        key = key_of(raw)
    except BadPath:
        broken = b"%" in unquote_to_bytes(raw)
        assert broken or unquote_to_bytes(raw).decode("utf-8", "replace").count("\ufffd")
        return
    if key is not None:
        inside = key.removeprefix("releases/").split("/")
        assert len(inside) <= 2
        assert all(part and not part.startswith(".") and ".." not in part for part in inside)
        assert "\\" not in key and "\0" not in key


@given(
    st.lists(
        st.sampled_from(["%2e%2e", "..", "/", "secret.txt", "%2f", ".", "releases"]), min_size=1, max_size=7
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_else_of_the_folder_comes_out(public: Site, parts: list[str]) -> None:
    reply = public.ask("/releases/" + "".join(parts))
    resolved = isinstance(public, RemoteSite)  # a URL's dots are gone before a Worker sees it: "/" is a page
    assert reply.status in ((200, 400, 404) if resolved else (400, 404))
    assert b"nobody" not in reply.body
