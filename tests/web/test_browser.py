"""A user at the pages in Chromium: first start to first answer, key, agents, activity, chat, keyboard."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app.agents.registry import AGENTS
from tests.app.test_updates import feed, item
from tests.standins.cursor import CursorStandIn
from tests.web.browser import PATIENCE, Site, Window, site, until_ready, window
from tests.web.conftest import KEY

pytestmark = [pytest.mark.release, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=PATIENCE)


@pytest.fixture
def user(browser: Browser) -> Iterator[Window]:
    """A window whose user sees no error and whose requests all stay here."""
    with window(browser) as opened:
        yield opened
        assert opened.seen.elsewhere == []
        assert opened.seen.unexpected(403, 409, 422, 503) == []
        assert len(opened.seen.requests) > 3


def begin(site: Site, text: str) -> Any:
    """Ask as an agent does; gives the open answer."""
    body = {"model": "composer-2.5", "stream": True, "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "user-agent": "opencode/1.2.3"}
    request = urllib.request.Request(f"{site.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request)


def ask(site: Site, text: str) -> None:
    """Ask, and read the whole answer, or why there is none."""
    try:
        with begin(site, text) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.read()


def enter(page: Page, site: Site, place: str = "") -> None:
    page.goto(site.link(place))
    page.wait_for_url(re.compile(r"/app/(?!enter)"))


def test_from_the_first_start_to_the_first_answer_and_agent(user: Window, new_site: Site) -> None:
    (new_site.home / ".config/opencode").mkdir(parents=True)
    page = user.page
    enter(page, new_site)
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    page.get_by_label("Your key").fill("key_that_is_bad_1")
    page.get_by_role("button", name="Check and keep").click()
    expect(page.get_by_role("alert")).to_have_text("Cursor refuses this key.")
    expect(page.get_by_label("Your key")).to_have_value("")
    page.get_by_label("Your key").fill(f"  {KEY} ")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Say hello").click()
    expect(page.locator("#answer")).to_have_text("Hello from the stand-in")
    page.get_by_role("link", name="Set up OpenCode").click()
    expect(page.locator(".diff .plus").first).to_be_visible()
    page.get_by_role("button", name="Make this change").click()
    expect(page).to_have_url(f"{new_site.url}/app/welcome")
    expect(page.get_by_role("heading", name="Everything is set up")).to_be_visible()
    expect(page.locator("nav [aria-current]")).to_have_count(0)
    page.get_by_role("button", name="Finish").click()
    until_ready(page)
    expect(page.get_by_text("step 3 of 3")).to_have_count(0)
    config = json.loads((new_site.home / ".config/opencode/opencode.json").read_text())
    assert config["provider"]["cursorapi"]["options"]["baseURL"] == f"{new_site.url}/v1"
    assert KEY not in page.content()


def test_a_key_is_entered_checked_replaced_and_removed(user: Window, new_site: Site) -> None:
    page = user.page
    enter(page, new_site)
    page.get_by_role("button", name="Skip for now").click()
    expect(page.get_by_role("heading", name="No key yet")).to_be_visible()
    for wrong, said in (("a b", "other characters"), ("key_that_is_bad_1", "refuses")):
        page.get_by_label("Your key").fill(wrong)
        page.get_by_role("button", name="Check and keep").click()
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.get_by_label("Your key")).to_be_focused()
    page.get_by_label("Your key").fill(f'"{KEY}" ')
    page.get_by_role("button", name="Check and keep").click()
    expect(page.get_by_text("…9876")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("The key works and is kept.")
    expect(page.locator("#main")).to_contain_text("a@example.com")
    until_ready(page)
    page.get_by_text("Replace it").click()
    page.get_by_label("New key").fill("key_for_another_4321")
    page.get_by_role("button", name="Check and keep").click()
    expect(page.get_by_text("…4321")).to_be_visible()
    page.get_by_text("Remove it").click()
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_role("heading", name="No key yet")).to_be_visible()


def test_each_agent_is_set_up_and_removed(user: Window, ready_site: Site) -> None:
    page = user.page
    enter(page, ready_site, "agents")
    expect(page.locator(".agents > li")).to_have_count(len(AGENTS))
    for agent in AGENTS:
        before = snapshot(ready_site.home)
        page.goto(f"{ready_site.url}/app/agents/{agent.name}")
        page.get_by_role("button", name="Make this change").click()
        expect(page.locator("h1 .badge")).to_have_text("installed")
        assert snapshot(ready_site.home) != before, agent.name
        page.get_by_role("button", name="Take it out").click()
        expect(page.locator("h1 .badge")).not_to_have_text("installed")
        assert snapshot(ready_site.home) == before, agent.name


def test_a_config_that_changed_since_it_was_shown_is_left_alone(user: Window, ready_site: Site) -> None:
    config = ready_site.home / ".config/opencode/opencode.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"theme": "nord"}\n')
    page = user.page
    enter(page, ready_site)
    page.goto(f"{ready_site.url}/app/agents/opencode")
    config.write_text('{"theme": "gruvbox"}\n')
    page.get_by_role("button", name="Make this change").click()
    expect(page.get_by_role("alert")).to_contain_text("changed between preview and install")
    assert config.read_text() == '{"theme": "gruvbox"}\n'
    page.get_by_role("button", name="Make this change").click()
    expect(page.locator("h1 .badge")).to_have_text("installed")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.locator("h1 .badge")).to_have_text("not set up")
    assert config.read_text() == '{"theme": "gruvbox"}\n'


def test_activity_shows_requests_while_they_run(user: Window, ready_site: Site) -> None:
    page = user.page
    enter(page, ready_site)
    until_ready(page)
    page.goto(f"{ready_site.url}/app/activity")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    expect(page.locator("[data-live]")).to_have_text("live")
    with begin(ready_site, "[[scenario:silence]]"), begin(ready_site, "[[scenario:silence]]"):
        expect(page.locator("tr[data-began]")).to_have_count(2)
        expect(page.locator("tr[data-began]").first).to_contain_text("opencode")
    expect(page.get_by_text("client left")).to_have_count(2)
    ask(ready_site, "hello")
    ask(ready_site, "[[scenario:rate_limit]]")
    expect(page.locator("#rows")).to_contain_text("rate_limit_exceeded")
    expect(page.locator("tr[data-began]")).to_have_count(0)
    expect(page.locator("#today")).to_contain_text("Requests4")
    expect(page.locator("#today")).to_contain_text("Errors1")
    page.get_by_text("As a table").click()
    expect(page.locator(".chart tbody tr").first).to_contain_text("4")
    # In a narrow window rows are laid out anew, and are still a table for those who hear it.
    page.set_viewport_size({"width": 360, "height": 760})
    requests = page.get_by_role("region", name="Table of requests").get_by_role("table")
    expect(requests.get_by_role("columnheader")).to_have_count(8)
    expect(requests.get_by_role("row").last.get_by_role("cell")).to_have_count(8)


def test_sums_are_there_after_a_restart(
    browser: Browser, environ: dict[str, str], tmp_path: Path, htmx: Path
) -> None:
    environ = {**environ, "CURSOR_API_KEY": KEY}
    with site(environ, tmp_path / "home") as first:
        ask(first, "hello")
        assert first.server.stop() == 0
    with site(environ, tmp_path / "home") as second, window(browser) as opened:
        enter(opened.page, second, "activity")
        expect(opened.page.locator("#today")).to_contain_text("Requests1")
        expect(opened.page.get_by_text("Nothing yet.")).to_be_visible()


def test_the_server_stops_at_once_though_a_page_watches(user: Window, ready_site: Site) -> None:
    enter(user.page, ready_site, "activity")
    expect(user.page.locator("[data-live]")).to_have_text("live")
    assert ready_site.server.stop() == 0
    expect(user.page.locator("[data-live]")).to_have_text("not connected")
    user.seen.errors.clear()  # the browser's own word for a server that has gone


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def test_a_chat_streams_and_shows_text_only(user: Window, ready_site: Site, cursor: CursorStandIn) -> None:
    page = user.page
    enter(page, ready_site, "playground")
    markup = "[[scenario:echo]] **bold** <img src=x onerror=alert(1)>"
    say(page, markup)
    expect(page.locator(".turn.model")).to_have_text(markup)
    expect(page.locator(".turn img")).to_have_count(0)
    expect(page.locator(".meta")).to_contain_text("tokens")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Model").select_option("composer-2.5-fast")
    say(page, "[[scenario:slow count=4000 delay=0.05]]")
    expect(page.locator(".turn.model")).to_contain_text("2 3 4")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_label("Message")).to_be_focused()
    page.get_by_role("button", name="Clear").click()
    say(page, "[[scenario:error_midway]]")
    expect(page.get_by_role("alert")).to_contain_text("boom")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Say something to")).to_be_visible()


def test_a_chat_that_is_refused_says_why(user: Window, new_site: Site) -> None:
    page = user.page
    enter(page, new_site, "playground")
    expect(page.get_by_text("Enter your Cursor key")).to_be_visible()
    say(page, "hello")
    expect(page.get_by_role("alert")).to_contain_text("No Cursor API key is set")
    user.seen.errors = user.seen.unexpected(401)  # what was asked for here


def test_settings_are_kept(user: Window, ready_site: Site) -> None:
    page = user.page
    enter(page, ready_site)
    until_ready(page)
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Port").fill("9321")
    page.get_by_label("Web sites that may use the API").fill("https://tool.example")
    page.get_by_label("Tools on").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("The settings are saved.")
    expect(page.get_by_text("Start the app anew for the new port to count.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Port")).to_have_value("9321")
    expect(page.get_by_label("Tools on")).to_be_checked()
    page.get_by_label("Port").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "The port cannot be '0': enter a number from 1 to 65535."
    )
    page.get_by_text("The log’s last lines").click()
    expect(page.get_by_role("list", name="The log’s last lines")).to_contain_text("bridge ready")
    page.get_by_text("The same as they stand in the file").click()
    expect(page.locator("pre.log")).to_contain_text('"message":"bridge ready')


def test_a_newer_version_is_shown_when_the_page_is_opened(
    browser: Browser, environ: dict[str, str], tmp_path: Path, htmx: Path
) -> None:
    (tmp_path / "appcast.xml").write_bytes(feed(item("7")))
    with serving(tmp_path) as url:
        environ = {**environ, "CURSOR_API_KEY": KEY, "API_FOR_CURSOR_FEED": f"{url}/appcast.xml"}
        with site(environ, tmp_path / "home") as running, window(browser) as user:
            enter(user.page, running, "updates")
            expect(user.page.get_by_text("1.7 is there")).to_be_visible()
            expect(user.page.get_by_role("link", name="Get it")).to_have_attribute(
                "href", "https://updates.example/7.dmg"
            )
            assert user.seen.errors == []


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder's files."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_settings_that_were_broken_are_told(
    browser: Browser, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.json").write_text("{ broken")
    with site({**environ, "CURSOR_API_KEY": KEY}, tmp_path / "home") as running, window(browser) as user:
        enter(user.page, running)
        expect(user.page.get_by_role("note")).to_contain_text("could not be understood")


def test_a_page_from_before_a_restart_says_so(user: Window, ready_site: Site) -> None:
    page = user.page
    enter(page, ready_site, "settings")
    page.evaluate("document.querySelector('form.settings [name=token]').value = 'of another start'")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This page is from before")).to_be_visible()
    page.get_by_role("link", name="Load it again").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("The settings are saved.")


def test_an_address_is_copied(browser: Browser, ready_site: Site) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with window(browser, permissions=permissions) as user:
        enter(user.page, ready_site)
        user.page.get_by_role("button", name="Copy Base URL").click()
        expect(user.page.locator("#toasts")).to_contain_text("Copied.")
        assert user.page.evaluate("navigator.clipboard.readText()") == f"{ready_site.url}/v1"


def test_it_works_without_a_mouse(user: Window, new_site: Site) -> None:
    page = user.page
    enter(page, new_site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    reach(page, "Your key")
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Say hello")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_visible()
    reach(page, "Finish")
    page.keyboard.press("Enter")
    until_ready(page)
    for name in ("Agents", "Activity", "Playground", "Settings", "Updates"):
        reach(page, name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
    reach(page, "Beta")
    page.keyboard.press("Space")
    reach(page, "Save")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("The settings are saved.")


def reach(page: Page, name: str, most: int = 60) -> None:
    """Go on with the Tab key (and the arrows among choices) until what has the focus is called `name`."""
    for _ in range(most):
        if focused_name(page) == name:
            return
        choice = page.evaluate("document.activeElement.type === 'radio'")
        page.keyboard.press("ArrowDown" if choice and name not in ("Save",) else "Tab")
    raise AssertionError(f"{name} cannot be reached")


def focused_name(page: Page) -> str:
    named = """
() => { const e = document.activeElement; const label = e.labels?.[0];
  const words = e.getAttribute("aria-label") ?? (label ?? e).innerText ?? "";
  return words.trim().split("\\n")[0]; }
"""
    text: Any = page.evaluate(named)
    return str(text)


@pytest.mark.parametrize("javascript", [True, False])
def test_nobody_else_gets_in(browser: Browser, ready_site: Site, javascript: bool) -> None:
    with window(browser, java_script_enabled=javascript) as user:
        user.page.goto(f"{ready_site.url}/app/settings")
        expect(user.page.get_by_role("heading", name="Open it from the app")).to_be_visible()
        link = ready_site.link()
        enter_without_script(user.page, link)
        expect(user.page.get_by_role("heading", level=1)).to_contain_text(re.compile("Ready|Starting"))
        user.page.context.clear_cookies()
        user.page.goto(link)
        expect(user.page.get_by_role("heading", name="This link is used up")).to_be_visible()


def enter_without_script(page: Page, link: str) -> None:
    page.goto(link)
    page.wait_for_url(re.compile(r"/app/$"))


def test_a_key_is_entered_without_javascript(browser: Browser, new_site: Site) -> None:
    with window(browser, java_script_enabled=False) as user:
        page = user.page
        page.goto(new_site.link())
        page.wait_for_url("**/app/welcome")
        page.get_by_label("Your key").fill(KEY)
        page.get_by_role("button", name="Check and keep").click()
        page.get_by_role("button", name="Say hello").click()
        expect(page.locator("#answer")).to_have_text("Hello from the stand-in")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
