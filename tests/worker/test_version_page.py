"""The page of one version: out of the feed while it is in it, out of the changelog afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.conftest import FEED, publish
from tests.worker.hosts import Host, Site
from worker.site.notes import section
from worker.site.pages import POLICY

DIGEST = "cd" * 32
CHANGELOG = """<!doctype html><html><head><title>API for Cursor</title></head><body>
<h2>[1.2.0] - 2026-11-22</h2><p>new</p>
<h2><a href="https://example.test/">1.0.0</a> - 2026-09-01</h2>
<h3>Added</h3><ul><li>The <code>first</code> &lt;b&gt;</li></ul><script>alert(2)</script>
<h2>0.9.0 - 2026-13-77</h2><p onclick="x()">before</p>
</body></html>"""


@pytest.fixture
def shop(host: Host, tmp_path: Path) -> Iterator[Site]:
    """A site whose feed has three versions, its changelog an older one, too."""
    with host.site(tmp_path, {"PUBLIC_URL": "https://site.test"}) as running:
        publish(running)
        manifest = f'{{"objects": [{{"key": "releases/API-for-Cursor-1.2.0-10.dmg", "sha256": "{DIGEST}"}}]}}'
        running.put("releases/1.2.0/manifest.json", manifest.encode())
        running.put("releases/notes.html", CHANGELOG.encode())
        yield running


def test_a_version_of_the_feed(shop: Site) -> None:
    reply = shop.ask("/releases/1.2.0/")
    text = reply.body.decode()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for part in ("API for Cursor 1.2.0", "A playground", "22 November 2026", "4.2 MB", "Apple silicon"):
        assert part in text
    assert DIGEST in text
    assert 'href="/releases/API-for-Cursor-1.2.0-10.dmg"' in text
    assert '<link rel="canonical" href="https://site.test/releases/1.2.0/">' in text
    assert "alert(1)" not in text and "<script" not in text and "is offered" not in text
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=300"


def test_others_lead_to_what_everybody_is_offered(shop: Site) -> None:
    beta, older = (shop.ask(f"/releases/{version}/").body.decode() for version in ("1.3.0", "1.1.0"))
    assert "beta" in beta and 'href="/releases/1.2.0/"' in beta
    assert "Nothing was written" in older and 'href="/releases/1.2.0/"' in older


def test_the_newest_build_of_a_version(shop: Site) -> None:
    shop.put("appcast.xml", FEED.replace("1.1.0", "1.2.0").replace(">9<", ">10.1<").encode())
    text = shop.ask("/releases/1.2.0/").body.decode()
    assert 'href="/releases/API-for-Cursor-1.2.0-9.dmg"' in text


def test_what_has_left_the_feed(shop: Site) -> None:
    text = shop.ask("/releases/1.0.0/").body.decode()
    for part in ("API for Cursor 1.0.0", "1 September 2026", "Added", "The first &lt;b&gt;"):
        assert part in text
    for part in ("alert(2)", "before", "Download", ".dmg"):
        assert part not in text
    older = shop.ask("/releases/0.9.0/")
    assert older.status == 200 and b"before" in older.body and b"onclick" not in older.body


def test_the_landing_page_and_crawlers_are_led_there(shop: Site) -> None:
    assert b'href="/releases/1.2.0/"' in shop.ask("/").body
    assert b"<loc>https://site.test/releases/1.2.0/</loc>" in shop.ask("/sitemap.xml").body


def test_head_and_entity_tags(shop: Site) -> None:
    whole, head = (shop.ask("/releases/1.2.0/", method) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole.body)
    etag = whole.headers["etag"]
    assert head.headers["etag"] == etag
    same = shop.ask("/releases/1.2.0/", if_none_match=f'"other", W/{etag}')
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
    shop.put("appcast.xml", FEED.replace("playground", "park").encode())
    changed = shop.ask("/releases/1.2.0/", if_none_match=etag)
    assert changed.status == 200 and b"A <b>" not in changed.body and b"A park" in changed.body


@pytest.mark.parametrize(
    "path, status",
    [
        ("/releases/7.7.7/", 404),
        ("/releases/1.2.0", 404),
        ("/releases/1.2.0//", 404),
        ("/releases//1.2.0/", 404),
        ("/releases/x1.2.0/", 404),
        ("/releases/1.2.0%2f", 404),
        ("/releases/%31.2.0/", 404),
        ("/releases/1.2.0/%", 400),
        ("/releases/1.2.0%/", 400),
        ("/releases/1'%3Cscript%3E/", 404),
        ("/releases/" + "1" * 2000 + "/", 404),
    ],
)
def test_no_other_path_is_a_page(shop: Site, path: str, status: int) -> None:
    assert shop.ask(path).status == status


def test_other_methods(shop: Site) -> None:
    reply = shop.ask("/releases/1.2.0/", "POST")
    assert (reply.status, set(reply.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert shop.ask("/releases/1.2.0/", "OPTIONS").status == 204


def test_a_bucket_that_is_empty_down_or_not_bound(host: Host, tmp_path: Path) -> None:
    with host.site(tmp_path / "empty") as running:
        assert running.ask("/releases/1.2.0/").status == 404
    with host.site(tmp_path / "down", down=["RELEASES"]) as running:
        reply = running.ask("/releases/1.2.0/")
        assert (reply.status, b"secret" in reply.body) == (503, False)
        assert running.ask("/sitemap.xml").status == 200
    with host.site(tmp_path / "without", without=["RELEASES"]) as running:
        assert running.ask("/releases/1.2.0/").status == 503


@pytest.mark.parametrize("heading", ["1.0", "[1.0]", "v1.0 - 2026-01-01", "[v1.0] (now)", "<a>1.0</a> x"])
def test_headings_of_a_version(heading: str) -> None:
    page = f"<h1>1.0</h1><p>a</p><h2>{heading}</h2><p>b</p><h2 id='x'>1.0.1</h2><p>c</p>"
    found = section(page, "1.0")
    assert found is not None and found[1] == "<p>b</p>"
    assert section(page, "1") is None and section("", "1.0") is None
