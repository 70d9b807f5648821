"""Files that the kernel sends, to clients that take their time, stop or leave; small answers kept."""

from __future__ import annotations

import http.client
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from tests.worker.hosts import Site, Uvicorn
from worker.hosts.local import zerocopy

NAME = "releases/API-for-Cursor-9.0.0-9.dmg"
SIZE = 48 * 1024 * 1024  # more than sockets hold


@pytest.fixture
def body(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "bucket" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(1024 * 1024) * (SIZE // 1024 // 1024))
    yield path


@pytest.fixture
def running(tmp_path: Path, body: Path) -> Iterator[Site]:
    with Uvicorn().site(tmp_path) as site:
        yield site


def ask(site: Site) -> socket.socket:
    parts = urlsplit(site.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    connection.sendall(f"GET /{NAME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return connection


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def rest(connection: socket.socket) -> int:
    """How many bytes still come; a connection that is reset is at its end."""
    count = 0
    try:
        while data := connection.recv(1 << 20):
            count += len(data)
    except ConnectionError:
        pass
    return count


def test_a_client_that_pauses_gets_all(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerocopy, "PATIENCE", 0.5)
    with ask(running) as connection:
        taken = len(connection.recv(1 << 20))
        for _ in range(4):  # longer in all than anybody's patience
            time.sleep(0.3)
            taken += len(connection.recv(1 << 22))
        assert taken + rest(connection) > SIZE


def test_a_client_that_takes_nothing_is_left(
    running: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(zerocopy, "PATIENCE", 0.2)
    with ask(running) as connection, caplog.at_level(logging.INFO):
        time.sleep(1.2)
        assert rest(connection) < SIZE
    assert running.ask("/appcast.xml").status == 404  # it goes on serving
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_client_that_leaves_costs_nothing(running: Site, caplog: pytest.LogCaptureFixture) -> None:
    before = descriptors()
    for _ in range(20):
        with ask(running) as connection:
            connection.recv(1000)
    assert running.ask("/appcast.xml").status == 404
    deadline = time.monotonic() + 10
    while descriptors() > before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descriptors() <= before + 2
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_file_that_gets_shorter_ends_the_connection(running: Site, body: Path) -> None:
    with ask(running) as connection:
        connection.recv(1000)
        os.truncate(body, 1000)
        assert rest(connection) < SIZE
    assert running.ask("/appcast.xml").status == 404


def test_many_at_once_get_the_same(running: Site) -> None:
    connections = [ask(running) for _ in range(8)]
    counts = {rest(one) for one in connections}
    for one in connections:
        one.close()
    assert len(counts) == 1 and counts.pop() > SIZE


FEED = b"<rss>" + b"x" * 3000


@pytest.fixture
def kept(running: Site, tmp_path: Path) -> Site:
    """A site that has answered for its feed before."""
    (tmp_path / "bucket/appcast.xml").write_bytes(FEED)
    assert running.ask("/appcast.xml").body == FEED
    return running


def test_a_kept_answer_is_the_first_one(kept: Site) -> None:
    slow, quick = kept.ask("/appcast.xml", connection="close"), kept.ask("/appcast.xml")
    changing = ("date", "connection")
    assert quick.body == slow.body == FEED
    assert {name: value for name, value in quick.headers.items() if name not in changing} == {
        name: value for name, value in slow.headers.items() if name not in changing
    }
    assert "date" in quick.headers


def test_a_kept_answer_does_not_outlive_its_object(kept: Site, tmp_path: Path) -> None:
    feed = tmp_path / "bucket/appcast.xml"
    feed.with_name("next").write_bytes(FEED.upper())
    feed.with_name("next").replace(feed)
    assert kept.ask("/appcast.xml").body == FEED.upper()
    assert kept.ask("/appcast.xml").body == FEED.upper()
    feed.unlink()
    assert kept.ask("/appcast.xml").status == 404


def test_a_kept_answer_is_for_those_who_ask_the_same(kept: Site) -> None:
    etag = kept.ask("/appcast.xml").headers["etag"]
    assert kept.ask("/appcast.xml", if_none_match=etag).status == 304
    assert kept.ask("/appcast.xml", range="bytes=0-4").body == b"<rss>"
    assert kept.ask("/appcast.xml", "HEAD").body == b""
    assert kept.ask("/appcast.xml", "POST").status == 405
    assert kept.ask("/appcast.xml", host="cursor-api.example").status == 308
    assert kept.ask("/appcast.xml?anything").body == FEED
    assert kept.ask("/appcast.xml", body=b"a body that nobody asked for").body == FEED


def test_who_asks_on_and_reads_late_gets_all_in_order(kept: Site, tmp_path: Path) -> None:
    """Thousands of requests before anything is read: kept answers wait for others before them."""
    names = ("releases/none", *["appcast.xml"] * 2000, "releases/none", "appcast.xml") * 3
    requests = b"".join(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in names)
    last = b"GET /appcast.xml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    parts = urlsplit(kept.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        asking = threading.Thread(target=connection.sendall, args=(requests + last,))
        asking.start()
        time.sleep(0.5)
        with connection.makefile("rb") as answers:
            found = [status_of(answers) for _ in (*names, last)]
            assert answers.read() == b""
        asking.join(20)
    assert found == [404 if name == "releases/none" else 200 for name in names] + [200]


def status_of(answers: BinaryIO) -> int:
    """Read one whole answer; a 200 has the feed in it."""
    status = int(answers.readline().split()[1])
    headers = http.client.parse_headers(answers)
    body = answers.read(int(headers["content-length"]))
    assert status != 200 or body == FEED
    return status
