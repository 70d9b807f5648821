"""How the pages look: every width and both themes, axe without a finding; pictures if wanted.

With SCREENSHOTS set to a folder, every page is kept there as it was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.web.browser import Site, Theme, Window, screenshots, site, until_ready, window
from tests.web.conftest import KEY
from tests.web.pictures import live_in

pytestmark = [pytest.mark.release, pytest.mark.xdist_group("browser")]

WIDTHS = (360, 768, 1280, 1600)
THEMES: tuple[Theme, ...] = ("light", "dark")
PAGES = (
    "", "agents", "agents/opencode", "activity", "playground", "settings", "updates", "welcome", "none",
)  # fmt: skip


@pytest.fixture
def lived_in(environ: dict[str, str], tmp_path: Path, htmx: Path) -> Iterator[Site]:
    """A server that has seen some days, in the home of somebody with agents."""
    live_in(tmp_path / "home", tmp_path / "data", tmp_path / "config")
    with site({**environ, "CURSOR_API_KEY": KEY}, tmp_path / "home") as running:
        yield running


def open_window(browser: Browser, site: Site, **more: object) -> Iterator[Window]:
    with window(browser, **more) as opened:  # type: ignore[arg-type]
        opened.page.goto(site.link())
        opened.page.wait_for_url(re.compile(r"/app/$"))
        until_ready(opened.page)
        yield opened


def keep(user: Window, name: str) -> None:
    folder = screenshots()
    if folder is not None:
        user.page.screenshot(path=folder / f"{name.replace('/', '-')}.png", full_page=True)


def problems(user: Window) -> list[str]:
    """What axe finds, serious or not, each with where it is."""
    found = Axe().run(user.page).response["violations"]
    return [f"{one['id']}: {', '.join(node['html'][:120] for node in one['nodes'])}" for one in found]


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_fits_and_can_be_used_by_everybody(browser: Browser, lived_in: Site, theme: Theme) -> None:
    for user in open_window(browser, lived_in, theme=theme):
        for name in PAGES:
            user.page.goto(f"{lived_in.url}/app/{name}")
            for width in WIDTHS:
                user.page.set_viewport_size({"width": width, "height": 760})
                assert user.fits(), f"{name} at {width}"
                keep(user, f"page-{name or 'status'}-{theme}-{width}")
                if width in (WIDTHS[0], WIDTHS[-1]):
                    assert problems(user) == [], f"{name} at {width}"
        assert user.seen.elsewhere == []
        assert user.seen.unexpected(404) == []


@pytest.mark.parametrize("theme", THEMES)
def test_what_goes_on_can_be_used_by_everybody(browser: Browser, lived_in: Site, theme: Theme) -> None:
    from tests.web.test_browser import begin, say

    for user in open_window(browser, lived_in, theme=theme):
        page = user.page
        page.goto(f"{lived_in.url}/app/activity")
        with begin(lived_in, "[[scenario:silence]]"):
            expect(page.locator("tr[data-began]")).to_have_count(1)
            page.get_by_text("As a table").click()
            assert problems(user) == []
            keep(user, f"activity-live-{theme}")
        page.goto(f"{lived_in.url}/app/playground")
        say(page, "[[scenario:slow count=4000 delay=0.05]]")
        expect(page.locator(".turn.model")).to_contain_text("1 2 3")
        assert problems(user) == []
        keep(user, f"playground-live-{theme}")
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped.")).to_be_visible()
        page.goto(f"{lived_in.url}/app/settings")
        page.get_by_label("Port").fill("0")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert problems(user) == []
        keep(user, f"settings-wrong-{theme}")


@pytest.mark.parametrize("theme", THEMES)
def test_the_first_steps_and_the_closed_door(browser: Browser, new_site: Site, theme: Theme) -> None:
    with window(browser, theme=theme) as user:
        for name, place in (("locked", f"{new_site.url}/app/"), ("welcome-key", new_site.link())):
            user.page.goto(place)
            user.page.wait_for_url(re.compile(r"/app/(?!enter)"))
            for width in WIDTHS:
                user.page.set_viewport_size({"width": width, "height": 760})
                assert user.fits(), f"{name} at {width}"
                keep(user, f"{name}-{theme}-{width}")
            assert problems(user) == [], name


def test_big_text_still_fits(browser: Browser, lived_in: Site) -> None:
    """At twice the text's size, as users with weak eyes have it, nothing runs out of a narrow window."""
    for user in open_window(browser, lived_in, width=640):
        for name in PAGES:
            user.page.goto(f"{lived_in.url}/app/{name}")
            user.page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert user.fits(), name
            keep(user, f"big-{name or 'status'}")


def test_these_checks_catch_a_breach(browser: Browser, new_site: Site) -> None:
    with window(browser) as user:
        user.page.goto(f"{new_site.url}/app/")
        assert user.fits() and problems(user) == []
        user.page.evaluate("document.body.style.minWidth = '4000px'")
        user.page.evaluate("document.images[0].removeAttribute('alt')")
        assert not user.fits()
        assert any(problem.startswith("image-alt") for problem in problems(user))
