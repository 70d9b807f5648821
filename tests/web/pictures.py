"""The pictures of the app in the docs: `python -m tests.web.pictures FOLDER`, or `./invoke pictures`.

A real server, a real browser, stand-ins for Cursor and for a Mac's Keychain; the home and the days before are
made up. The app lies in a bundle and listens on its own port, so that the pictures show what users have.
"""

from __future__ import annotations

import datetime
import io
import json
import math
import plistlib
import re
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.activity import days
from app.activity.days import Day
from app.version import NAME
from commands import Runner, Subprocess
from release import bridge
from release.pictures import PORT
from release.version import Git, version_of
from tests.standins import keychain
from tests.standins.cursor import CursorStandIn
from tests.web.browser import Site, Theme, chromium, site, until_ready, window

ROOT = Path(__file__).resolve().parents[2]
LIVED_IN = (".config/opencode/opencode.json", ".codex/config.toml", ".aider.conf.yml")
KEY = "key_for_pictures_4f2a"


def live_in(home: Path, data: Path, config: Path) -> None:
    """Make a home with some agents in it, a month of activity, and the first steps behind it."""
    contents = (
        '{\n  // what I look at all day\n  "theme": "nord",\n  "autoupdate": false\n}\n',
        'model = "gpt-5"\napproval_policy = "on-request"\n',
        "dark-mode: true\n",
    )
    for name, content in zip(LIVED_IN, contents, strict=True):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    for folder in (data, config):
        folder.mkdir(parents=True, exist_ok=True)
    (config / "settings.json").write_text('{"setup": "done"}')
    today = datetime.date.today()
    days.save(data, {today - datetime.timedelta(days=back): _day(back) for back in range(30)})


def _day(back: int) -> Day:
    """A day of somebody who works on weekdays, more or less."""
    date = datetime.date.today() - datetime.timedelta(days=back)
    much = (0.08 if date.weekday() > 4 else 1.0) * (1.6 + math.sin(back * 1.3) + math.cos(back * 0.7) / 2)
    requests = round(42 * much)
    return Day(requests, requests // 23, requests * 6100, requests * 840, round(requests * 0.0113, 6))


def take(browser: Browser, site: Site, cursor: CursorStandIn, theme: Theme, folder: Path) -> None:
    """Take the pictures in one theme."""
    with window(browser, width=1080, height=760, theme=theme, device_scale_factor=1.5) as user:
        page = user.page
        page.goto(site.link())
        page.wait_for_url(re.compile(r"/app/$"))
        until_ready(page)
        page.get_by_role("button", name="Check it").click()
        expect(page.locator(".toast")).to_be_visible()
        page.goto(f"{site.url}/app/")
        expect(page.get_by_text("accepted by Cursor")).to_be_visible()
        shoot(page, folder / f"app-status-{theme}.png")
        page.goto(f"{site.url}/app/agents")
        shoot(page, folder / f"app-agents-{theme}.png")
        page.goto(f"{site.url}/app/agents/opencode")
        shoot(page, folder / f"app-setup-{theme}.png")
        page.goto(f"{site.url}/app/activity")
        before = page.locator("#rows tr").count()
        busy = [threading.Thread(target=_work, args=(site, *one)) for one in WORK]
        for thread in busy:
            thread.start()
        expect(page.locator("tr[data-began]")).to_have_count(2)
        expect(page.locator("#rows tr")).to_have_count(before + len(WORK))
        shoot(page, folder / f"app-activity-{theme}.png")
        for thread in busy:
            thread.join()
        page.goto(f"{site.url}/app/playground")
        _talk(page)
        shoot(page, folder / f"app-playground-{theme}.png")


WORK = (
    ("codex_cli_rs/0.130", "composer-2.5", "[[scenario:text]]"),
    ("Aider/0.86", "composer-2.5-fast", "[[scenario:rate_limit]]"),
    ("opencode/1.2.3", "composer-2.5", "[[scenario:slow count=40 delay=0.1]]"),
    ("Cline/3.4", "composer-2.5-fast", "[[scenario:slow count=45 delay=0.1]]"),
    ("opencode/1.2.3", "composer-2.5", "[[scenario:usage]]"),
)


def _work(site: Site, agent: str, model: str, text: str) -> None:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "user-agent": agent}
    request = urllib.request.Request(f"{site.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        error.read()


def _talk(page: Page) -> None:
    page.get_by_label("Message").fill("Say hello in four words.")
    page.keyboard.press("Enter")
    expect(page.locator(".meta")).to_have_count(1)


def shoot(page: Page, path: Path) -> None:
    """Keep a picture, of the page alone."""
    expect(page.locator(".toast")).to_have_count(0)
    page.mouse.move(0, 0)
    page.wait_for_load_state("load")
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, optimize=True)


def main(folder: Path) -> None:
    """Take all pictures."""
    runner = Subprocess()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, CursorStandIn() as cursor, chromium() as browser:
        home = Path(name, "ada")
        live_in(home, Path(name, "data"), Path(name, "config"))
        environ = {
            "KEYCHAIN_KEY": KEY,
            "RESOURCEPATH": str(bundle(Path(name, f"{NAME}.app/Contents"), runner)),
            "CURSOR_BACKEND_URL": cursor.url,
            "CURSOR_SDK_BRIDGE_SANDBOX": "off",  # as on a Mac
            "API_FOR_CURSOR_DATA_DIR": str(Path(name, "data")),
            "API_FOR_CURSOR_CONFIG_DIR": str(Path(name, "config")),
        }
        with site(environ, home, "--port", str(PORT), module=keychain.__name__) as running:
            if running.url != f"http://127.0.0.1:{PORT}":
                sys.exit(f"port {PORT} is in use: the app listens on {running.url}")
            for theme in ("light", "dark"):
                take(browser, running, cursor, theme, folder)


def bundle(contents: Path, runner: Runner) -> Path:
    """Lay out what the app finds in its bundle, as the release does; give its Resources."""
    resources, bun = contents / "Resources", contents / "Helpers/bun"
    for folder in (resources / "web", bun.parent):
        folder.mkdir(parents=True)
    version = version_of(Git(runner, ROOT), None, require_tag=False)
    (contents / "Info.plist").write_bytes(plistlib.dumps({"CFBundleShortVersionString": version}))
    shutil.copyfile(ROOT / bridge.build(ROOT, runner), resources / "bridge.js")
    shutil.copyfile(ROOT / bridge.htmx(ROOT, runner), resources / "web/htmx.min.js")
    bun.symlink_to(bridge.bun(ROOT, runner))
    return resources


if __name__ == "__main__":
    main(Path(sys.argv[1]))
