"""`python -m app open`."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser

from app.cli.pages import show
from tests.app.conftest import ROOT
from tests.web.browser import Site, until_ready, window

LINK = "http://127.0.0.1:8787/app/enter?ticket=1.x.y&place=settings"


def test_a_browser_is_given_a_private_file_and_not_the_link(tmp_path: Path) -> None:
    given: list[str] = []

    def open_url(url: str) -> bool:
        given.append(url)
        return True

    assert show(LINK, tmp_path, open_url=open_url, environ={"DISPLAY": ":0"}, platform="linux")
    assert given[0].startswith("file://") and "ticket" not in given[0]
    file = Path(unquote(urlsplit(given[0]).path))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "ticket=1.x.y&amp;place" in file.read_text()


def test_without_a_window_nothing_is_opened(tmp_path: Path) -> None:
    def open_url(url: str) -> bool:
        raise AssertionError(url)

    assert not show(LINK, tmp_path, open_url=open_url, environ={}, platform="linux")


def open_command(data: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "API_FOR_CURSOR_DATA_DIR": str(data)}
    argv = [sys.executable, "-m", "app", "open"]
    return subprocess.run(argv, capture_output=True, text=True, env={**environ, "PYTHONPATH": str(ROOT)})


def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    run = open_command(tmp_path, tmp_path)
    assert run.returncode == 1
    assert run.stderr == "the server does not run: start it with `python -m app serve`\n"


@pytest.mark.release
@pytest.mark.xdist_group("browser")
def test_the_way_in_from_a_terminal(browser: Browser, ready_site: Site, tmp_path: Path) -> None:
    run = open_command(ready_site.data, ready_site.home)
    assert run.returncode == 0
    link = run.stdout.strip()
    assert show(link, tmp_path, open_url=lambda url: True, environ={}, platform="darwin")
    with window(browser) as user:
        user.page.goto((tmp_path / "open.html").as_uri())
        user.page.wait_for_url(re.compile(r"/app/$"))
        until_ready(user.page)
        assert user.seen.errors == []
