"""The landing page: what it offers, and how it behaves in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.web.browser import CHROMIUM, Theme, chromium, screenshots, window
from tests.worker.conftest import publish
from tests.worker.hosts import Elsewhere, Host, Site, Uvicorn
from worker.site.notes import Line, lines
from worker.site.offer import system

ASSETS = Path(__file__).resolve().parents[2] / "worker/site/assets/assets"
DIGEST = "ab" * 32


@pytest.fixture
def shop(host: Host, tmp_path: Path, world: Elsewhere) -> Iterator[Site]:
    """A site with a release and a waiting list."""
    with opened(host, tmp_path, world) as running:
        yield running


@pytest.fixture
def shown(tmp_path: Path, world: Elsewhere) -> Iterator[Site]:
    """The same on uvicorn, which also serves what the page loads; Cloudflare does that itself."""
    with opened(Uvicorn(), tmp_path, world) as running:
        yield running


@contextmanager
def opened(host: Host, folder: Path, world: Elsewhere) -> Iterator[Site]:
    world.answer("POST", "/waitlist", 200, {})
    with host.site(folder, {"WAITLIST_URL": f"{world.url}/waitlist"}) as running:
        publish(running)
        manifest = f'{{"objects": [{{"key": "releases/API-for-Cursor-1.2.0-10.dmg", "sha256": "{DIGEST}"}}]}}'
        running.put("releases/1.2.0/manifest.json", manifest.encode())
        yield running


def test_what_is_offered_comes_from_the_feed(shop: Site) -> None:
    text = shop.ask("/").body.decode()
    for part in ("1.2.0", "4.2 MB", "22 November 2026", "macOS 13 Ventura or later", "Apple silicon", DIGEST):
        assert part in text
    assert "A playground" in text and "alert(1)" not in text
    assert 'href="/download"' in text


def test_before_the_first_release(fresh: Site) -> None:
    reply = fresh.ask("/")
    assert reply.status == 200 and b"on its way" in reply.body
    assert b"/download" not in reply.body


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{", b'{"objects": [{"key": 1}]}', b"\xff"])
def test_a_manifest_that_is_none(shop: Site, manifest: bytes) -> None:
    shop.put("releases/1.2.0/manifest.json", manifest)
    reply = shop.ask("/")
    assert reply.status == 200 and b"SHA-256" not in reply.body


@pytest.mark.parametrize("feed", [b"", b"<rss/>", b"not xml", b"<rss><channel><item/></channel></rss>"])
def test_a_feed_that_is_none(shop: Site, feed: bytes) -> None:
    shop.put("appcast.xml", feed)
    assert b"on its way" in shop.ask("/").body


def test_what_crawlers_and_agents_ask_for(shop: Site) -> None:
    assert b"Sitemap: " in shop.ask("/robots.txt").body
    assert b"<loc>" in shop.ask("/sitemap.xml").body
    setup = shop.ask("/setup.md")
    assert setup.headers["content-type"].startswith("text/markdown")
    assert b"http://127.0.0.1:8787/v1" in setup.body


def test_what_the_page_loads(shown: Site) -> None:
    for name, kind in (("icon.svg", "image/svg+xml"), ("card.png", "image/png")):
        assert shown.ask(f"/assets/{name}").headers["content-type"] == kind
    assert shown.ask("/assets/../landing.html").status == 404
    assert shown.ask("/assets/icon.svg", "POST").status == 405


def test_the_icon_that_is_asked_for_by_habit(shown: Site) -> None:
    reply = shown.ask("/favicon.ico")
    assert (reply.status, reply.body) == (200, (ASSETS.parent / "favicon.ico").read_bytes())
    assert reply.headers["content-type"] in ("image/vnd.microsoft.icon", "image/x-icon")
    assert shown.ask("/favicon.ico", if_none_match=reply.headers["etag"]).status == 304
    assert shown.ask("/favicon.icon").status == 404


def test_it_is_light() -> None:
    heavy = {path.name: path.stat().st_size for path in ASSETS.iterdir() if path.suffix in (".css", ".js")}
    templates = (ASSETS.parents[1] / "templates").glob("*.html")
    assert sum(heavy.values()) + sum(path.stat().st_size for path in templates) < 100_000
    assert (ASSETS / "icon.svg").read_bytes() == (
        ASSETS.parents[3] / "release/assets/icon/icon.svg"
    ).read_bytes()


def test_notes_as_lines() -> None:
    assert lines("<h2>New</h2><ul><li>One <b>thing</b></li><li><p>Two</p></li></ul><p>End</p>") == (
        Line("heading", "New"),
        Line("point", "One thing"),
        Line("point", "Two"),
        Line("text", "End"),
    )
    assert lines("## New\n\n- one\n* two\nthree") == (
        Line("heading", "New"),
        Line("point", "one"),
        Line("point", "two"),
        Line("text", "three"),
    )
    assert len(lines("<p>x</p>" * 100)) == 40
    assert lines("<script>alert(1)</script><style>a</style>") == ()


def test_names_of_systems() -> None:
    assert system("13.0.0") == "macOS 13 Ventura or later"
    assert system("13.3") == "macOS 13.3 or later"
    assert (system("99"), system("")) == ("macOS 99 or later", "macOS")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with chromium() as running:
        yield running


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1600])
def test_in_a_browser(browser: Browser, shown: Site, width: int, theme: Theme) -> None:
    with window(browser, width=width, theme=theme) as user:
        user.page.goto(shown.url)
        expect(user.page.get_by_role("link", name="Download for macOS")).to_be_visible()
        assert user.fits()
        found = Axe().run(user.page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
        assert (user.seen.elsewhere, user.seen.errors) == ([], [])
        if folder := screenshots():
            user.page.screenshot(path=folder / f"landing-{width}-{theme}.png", full_page=True)


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_a_version_in_a_browser(browser: Browser, shown: Site, theme: Theme) -> None:
    with window(browser, width=360, theme=theme) as user:
        user.page.goto(shown.url)
        user.page.get_by_role("link", name="Release notes of 1.2.0").click()
        expect(user.page.get_by_role("heading", name="API for Cursor 1.2.0")).to_be_visible()
        assert user.fits()
        assert [one["id"] for one in Axe().run(user.page).response["violations"]] == []
        user.page.get_by_role("link", name="Agents").click()
        user.page.wait_for_url(re.compile("/#agents$"))
        assert (user.seen.elsewhere, user.seen.errors) == ([], [])


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_joining_the_waiting_list(browser: Browser, shown: Site, world: Elsewhere) -> None:
    with window(browser) as user:
        user.page.goto(shown.url)
        user.page.get_by_label("Name").fill("Ada")
        user.page.get_by_label("Email").fill("ada@example.test")
        user.page.get_by_role("button", name="Join").click()
        expect(user.page.get_by_text("Thank you")).to_be_visible()
        assert len(world.asked) == 1
        world.answer("POST", "/waitlist", 500)
        user.page.get_by_label("Name").fill("Ada")
        user.page.get_by_label("Email").fill("ada@example.test")
        user.page.get_by_role("button", name="Join").click()
        expect(user.page.get_by_text("did not take it")).to_be_visible()


@pytest.mark.slow
@pytest.mark.xdist_group("browser")
def test_without_javascript(browser: Browser, shown: Site, world: Elsewhere) -> None:
    with window(browser, java_script_enabled=False) as user:
        user.page.goto(shown.url)
        user.page.get_by_label("Name").fill("Ada")
        user.page.get_by_label("Email").fill("ada@example.test")
        user.page.get_by_role("button", name="Join").click()
        user.page.wait_for_url(re.compile("joined=1"))
        expect(user.page.get_by_text("Thank you")).to_be_visible()
        assert len(world.asked) == 1
