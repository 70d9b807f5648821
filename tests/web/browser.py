"""A real browser on the real pages; only Cursor is a stand-in, and the home is new."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from app.web import access
from tests.app.conftest import Served, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
PATIENCE = 20_000  # milliseconds, on a machine that does other things too
Theme = Literal["light", "dark"]


@dataclass
class Site:
    """A server with its pages, and whose home it looks into."""

    server: Served
    data: Path
    home: Path

    @property
    def url(self) -> str:
        return self.server.url

    def link(self, place: str = "") -> str:
        return access.link(self.data, self.url, place)


@contextlib.contextmanager
def site(environ: Mapping[str, str], home: Path, *arguments: str, module: str = "app") -> Iterator[Site]:
    """Serve with `environ`, as a user whose home is `home`; the rest is as for `served`."""
    home.mkdir(exist_ok=True)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", **environ}
    with served(environment, *arguments, module=module) as server:
        yield Site(server, Path(environment["API_FOR_CURSOR_DATA_DIR"]), home)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a browser did that nobody should have to see: requests elsewhere, errors on the console."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        self.requests.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    @property
    def elsewhere(self) -> list[str]:
        schemes = ("data", "blob", "about")
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in schemes and urlsplit(url).hostname != "127.0.0.1"
        ]

    def unexpected(self, *statuses: int) -> list[str]:
        """The console's errors but for answers with these statuses, which a browser reports as such."""
        expected = tuple(f"status of {status}" for status in statuses)
        return [text for text in self.errors if not any(part in text for part in expected)]


@dataclass
class Window:
    """A browser window of a user."""

    page: Page
    seen: Seen

    def fits(self) -> bool:
        """Whether nothing has to be scrolled sideways: not the page, and no table that is to be seen."""
        page = "document.documentElement.scrollWidth <= innerWidth"
        tables = "[...document.querySelectorAll('.scroll')].filter((table) => table.checkVisibility())"
        return bool(self.page.evaluate(f"{page} && {tables}.every((e) => e.scrollWidth <= e.clientWidth)"))


@contextlib.contextmanager
def window(
    browser: Browser, *, width: int = 1100, height: int = 760, theme: Theme = "light", **more: Any
) -> Iterator[Window]:
    """Open a window; what it sees is collected."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB", **more
    )
    context.set_default_timeout(PATIENCE)
    seen = Seen()
    watch(context, seen)
    page = context.new_page()
    try:
        yield Window(page, seen)
    finally:
        context.close()


def watch(context: BrowserContext, seen: Seen) -> None:
    context.on("request", seen.request)
    context.on("console", seen.console)
    context.on("weberror", lambda error: seen.errors.append(str(error.error)))


def screenshots() -> Path | None:
    """The folder that pictures are kept in, if somebody wants them."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder) if folder else None


def until_ready(page: Page, seconds: float = 20) -> None:
    """Wait until the status page says so; it looks by itself."""
    page.get_by_role("heading", name="Ready").wait_for(timeout=seconds * 1000)
