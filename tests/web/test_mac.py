"""The pages in the Mac app: what they ask of the shell, and what they say when it does not do it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.errors import AppError
from app.shell.link import LoginItem
from tests.web.conftest import Pages


@dataclass
class Shell:
    """The Mac's side, in memory."""

    item: LoginItem = "off"
    refuses: bool = False
    asked: list[tuple[str, object]] = field(default_factory=list)

    def note(self, question: str, value: object = None) -> None:
        if self.refuses:
            raise AppError("macOS said no", cure="try again")
        self.asked.append((question, value))

    async def check_for_updates(self) -> None:
        self.note("check_for_updates")

    async def set_automatic_updates(self, on: bool) -> None:
        self.note("set_automatic_updates", on)

    async def login_item(self) -> LoginItem:
        return self.item

    async def set_login_item(self, on: bool) -> LoginItem:
        self.note("set_login_item", on)
        self.item = "on" if on else "off"
        return self.item

    async def set_menu_bar_only(self, on: bool) -> None:
        self.note("set_menu_bar_only", on)

    async def open_folder(self, path: str) -> None:
        self.note("open_folder", path)


@pytest.fixture
def shell(pages: Pages) -> Shell:
    made = Shell()
    pages.state.shell = made
    return made


def test_elsewhere_the_page_says_why_there_is_no_switch(pages: Pages) -> None:
    text = pages.get("/app/settings")
    assert "belong to the Mac app" in text
    assert 'name="launch_at_login"' not in text


def test_the_switches_reach_the_mac_and_are_kept(pages: Pages, shell: Shell) -> None:
    assert 'name="launch_at_login"' in pages.get("/app/settings")
    answer = pages.post(
        "/app/settings", port="8787", keep_logs="5", launch_at_login="yes", menu_bar_only="yes"
    )
    assert "The settings are saved." in answer.text
    assert shell.asked == [("set_menu_bar_only", True), ("set_login_item", True)]
    kept = pages.state.preferences().preferences
    assert kept.launch_at_login and kept.menu_bar_only
    pages.post("/app/settings", port="8787", keep_logs="5", launch_at_login="yes", menu_bar_only="yes")
    assert len(shell.asked) == 2  # nothing changed, nothing asked


def test_what_the_mac_refuses_is_not_kept(pages: Pages, shell: Shell) -> None:
    shell.refuses = True
    answer = pages.post("/app/settings", port="8787", keep_logs="5", launch_at_login="yes")
    assert answer.status_code == 422
    assert "macOS said no: try again." in answer.text
    assert not pages.state.preferences().preferences.launch_at_login


def test_the_mac_is_not_asked_for_what_is_not_kept(pages: Pages, shell: Shell) -> None:
    answer = pages.post(
        "/app/settings", port="8787", keep_logs="5", origins="no origin", launch_at_login="yes"
    )
    assert answer.status_code == 422
    assert shell.asked == []


@pytest.mark.parametrize(
    ("item", "words"),
    [("needs approval", "System Settings, General, Login Items"), ("not available", "Move the app")],
)
def test_the_login_item_s_state_is_explained(pages: Pages, shell: Shell, item: LoginItem, words: str) -> None:
    shell.item = item
    assert words in pages.get("/app/settings")


def test_the_system_s_word_on_the_login_item_counts(pages: Pages, shell: Shell) -> None:
    """A user may switch it off in System Settings, where nobody tells the app."""
    pages.post("/app/settings", port="8787", keep_logs="5", launch_at_login="yes")
    shell.item = "off"
    box = pages.get("/app/settings").partition('name="launch_at_login"')[2].partition(">")[0]
    assert "checked" not in box


def test_sparkle_looks_for_updates(pages: Pages, shell: Shell) -> None:
    answer = pages.post("/app/updates/check")
    assert "The app looks for updates" in answer.text
    assert shell.asked == [("check_for_updates", None)]
    pages.post("/app/updates", channel="stable", check_for_updates="yes")
    assert shell.asked[1:] == [("set_automatic_updates", True)]
    shell.refuses = True
    refused = pages.post("/app/updates/check")
    assert refused.status_code == 502
    assert "macOS said no" in refused.text


def test_the_log_is_shown_in_the_finder(pages: Pages, shell: Shell) -> None:
    assert "open in the Finder" in pages.post("/app/settings/folder").text
    assert shell.asked == [("open_folder", str(pages.state.settings.data_dir / "logs"))]
