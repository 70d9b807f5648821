from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.hosts import Cloudflare, Elsewhere, Host, Site, Uvicorn, elsewhere
from tests.worker.python_worker import PythonWorker, one_for_all

FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle"><channel>
<title>API for Cursor</title>
<item><title>2</title><pubDate>Sun, 22 Nov 2026 10:00:00 +0000</pubDate>
<sparkle:version>10</sparkle:version><sparkle:shortVersionString>1.2.0</sparkle:shortVersionString>
<sparkle:minimumSystemVersion>13.0.0</sparkle:minimumSystemVersion>
<sparkle:hardwareRequirements>arm64</sparkle:hardwareRequirements>
<description><![CDATA[<h2>New</h2><ul><li>A <b>playground</b></li></ul>
<script>alert(1)</script>]]></description>
<enclosure url="https://example.test/releases/API-for-Cursor-1.2.0-10.dmg" length="4194304"/></item>
<item><title>1</title><sparkle:version>9</sparkle:version>
<sparkle:shortVersionString>1.1.0</sparkle:shortVersionString>
<enclosure url="https://example.test/releases/API-for-Cursor-1.1.0-9.dmg" length="3"/></item>
<item><title>3</title><sparkle:version>11</sparkle:version>
<sparkle:shortVersionString>1.3.0</sparkle:shortVersionString><sparkle:channel>beta</sparkle:channel>
<enclosure url="https://example.test/releases/API-for-Cursor-1.3.0-11.dmg" length="3"/></item>
</channel></rss>
"""
IMAGE = bytes(range(256)) * 16 * 1024  # 4 MB: goes out as a file
SMALL = b"a manifest"


HOSTS = [
    "uvicorn",
    pytest.param("python-worker", marks=[pytest.mark.slow, pytest.mark.xdist_group("python-worker")]),
]


@pytest.fixture(scope="session")
def python_worker() -> Iterator[PythonWorker]:
    """Cloudflare's host, one for all tests."""
    with one_for_all() as running:
        yield running


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Host:
    """Each host: a test that asks for it runs on both."""
    return Uvicorn() if request.param == "uvicorn" else Cloudflare(request.getfixturevalue("python_worker"))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on uvicorn with a release on it."""
    with Uvicorn().site(tmp_path_factory.mktemp("site")) as running:
        publish(running)
        yield running


@pytest.fixture
def public(host: Host, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with a release on it, which no test changes."""
    if isinstance(host, Uvicorn):
        yield request.getfixturevalue("opened")
        return
    assert isinstance(host, Cloudflare)
    if host.worker.holds == "public":
        yield host.as_it_is()
        return
    with host.site(tmp_path) as running:
        publish(running)
        host.worker.holds = "public"
        yield running


def publish(running: Site) -> None:
    running.put("appcast.xml", FEED.encode())
    running.put("releases/API-for-Cursor-latest.dmg", IMAGE)
    running.put("releases/API-for-Cursor-1.2.0-10.dmg", IMAGE)
    running.put("releases/1.2.0/10.json", SMALL)
    running.put("releases/notes.html", b"<p>notes</p>")
    running.put("secret.txt", b"nobody's business")


@pytest.fixture
def world() -> Iterator[Elsewhere]:
    """Cursor, GitHub and the waiting list, on one address."""
    with elsewhere() as told:
        yield told


@pytest.fixture
def fresh(host: Host, tmp_path: Path) -> Iterator[Site]:
    """A site with nothing on it."""
    with host.site(tmp_path) as running:
        yield running
