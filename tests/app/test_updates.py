"""Whether a newer version is there: by the project's own reader of feeds, where the app runs from source."""

from __future__ import annotations

import http.server
import plistlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import updates
from app.errors import AppError
from app.settings import Settings
from app.updates import Source, download, look, source
from appcast import xml
from appcast.feed import Enclosure, Feed, Item
from signing import eddsa

FEED = "https://updates.example/appcast.xml"
KEY = Ed25519PrivateKey.generate()
PUBLIC = eddsa.public_key(KEY)


def item(version: str, **changes: object) -> Item:
    enclosure = Enclosure(f"https://updates.example/{version}.dmg", 10)
    return replace(Item(version, short_version=f"1.{version}", enclosure=enclosure), **changes)  # type: ignore[arg-type]


def feed(*items: Item) -> bytes:
    return xml.render(Feed("API for Cursor", items=items))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, feed=FEED)


def test_off_where_no_feed_is_known(tmp_path: Path) -> None:
    found = look(Settings(data_dir=tmp_path))
    assert (found.state, found.version) == ("unknown", None)
    assert "API_FOR_CURSOR_FEED" in found.said


def test_a_newer_version(settings: Settings) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return feed(
            item("7"), item("8"), item("9", channel="beta"), item("10", minimum_system_version="99.0")
        )

    found = look(settings, fetch=fetch)
    assert asked == [FEED]
    assert (found.state, found.version, found.url) == ("newer", "1.8", "https://updates.example/8.dmg")
    assert not found.signed
    assert look(settings, channel="beta", fetch=fetch).version == "1.9"
    linked = look(settings, fetch=lambda url: feed(item("7", link="https://updates.example/notes")))
    assert linked.url == "https://updates.example/notes"


def test_nothing_newer(settings: Settings) -> None:
    assert look(settings, fetch=lambda url: feed()).state == "current"


def test_a_signed_feed(settings: Settings) -> None:
    keyed = replace(settings, feed_key=PUBLIC)
    others = eddsa.sign_feed(feed(item("8")), Ed25519PrivateKey.generate())
    signed = eddsa.sign_feed(feed(item("8")), KEY)
    found = look(keyed, fetch=lambda url: signed)
    assert (found.state, found.signed) == ("newer", True)
    for bad in (feed(item("8")), signed.replace(b"1.8", b"1.9"), others):
        with pytest.raises(AppError, match=f"the feed at {FEED} is not used"):
            look(keyed, fetch=lambda url, bad=bad: bad)  # type: ignore[misc]
    with pytest.raises(AppError, match="is not used"):
        look(replace(settings, feed_key="no key"), fetch=lambda url: signed)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"<rss/>", b"\x00", b"<!DOCTYPE a [<!ENTITY b 'c'>]><rss/>"]
)
def test_what_is_no_feed(settings: Settings, data: bytes) -> None:
    with pytest.raises(AppError, match="is not used"):
        look(settings, fetch=lambda url: data)


def test_the_packaged_app_leaves_it_to_sparkle(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no reader of feeds, nor what that stands on."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("appcast", "signing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "appcast", None)

    def fetch(url: str) -> bytes:
        raise AssertionError

    found = look(settings, fetch=fetch)
    assert (found.state, found.version) == ("elsewhere", None)


def test_the_bundle_names_its_feed(tmp_path: Path) -> None:
    resources = tmp_path / "Contents/Resources"
    resources.mkdir(parents=True)
    bundled = Settings(data_dir=tmp_path, resource_dir=resources)
    assert source(bundled) is None
    info = {"SUFeedURL": "https://a.example/f.xml", "SUPublicEDKey": PUBLIC, "CFBundleVersion": "42"}
    (tmp_path / "Contents/Info.plist").write_bytes(plistlib.dumps(info))
    assert source(bundled) == Source("https://a.example/f.xml", PUBLIC, "42")
    assert source(replace(bundled, feed=FEED)) == Source(FEED, None, "42")  # whose key is another
    current = look(replace(bundled, feed=FEED), fetch=lambda url: feed(item("42")))
    assert current.state == "current"
    (tmp_path / "Contents/Info.plist").write_bytes(b"no plist")
    assert source(bundled) is None


# --- fetching it -------------------------------------------------------------------------------------------


@dataclass
class Site:
    url: str
    answers: dict[str, tuple[int, dict[str, str], bytes]]


@pytest.fixture
def site() -> Iterator[Site]:
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_address[1]}", answers)
        server.shutdown()
        thread.join()


def test_fetching(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.answers["/f"] = (200, {}, b"content")
    site.answers["/moved"] = (302, {"location": f"{site.url}/f"}, b"")
    assert download(f"{site.url}/f") == download(f"{site.url}/moved") == b"content"
    with pytest.raises(AppError, match="cannot be fetched: Not Found"):
        download(f"{site.url}/none")
    monkeypatch.setattr(updates, "MAX_FEED", 3)
    with pytest.raises(AppError, match="longer than"):
        download(f"{site.url}/f")


@pytest.mark.parametrize(
    "elsewhere", ["http://updates.example/f", "file:///etc/passwd", "ftp://a/b", "/etc/passwd"]
)
def test_only_safe_addresses(site: Site, elsewhere: str) -> None:
    with pytest.raises(AppError, match="is not used: give an address that begins with https://"):
        download(elsewhere)
    if ":" in elsewhere:
        site.answers["/moved"] = (302, {"location": elsewhere}, b"")
        with pytest.raises(AppError):
            download(f"{site.url}/moved")


def test_nobody_answers() -> None:
    with pytest.raises(AppError, match="cannot be fetched") as caught:
        download("http://127.0.0.1:1/f")
    assert caught.value.cure == "try again later"
