"""Files that the kernel sends: to clients that take their time, stop, or leave."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
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
