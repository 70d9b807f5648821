"""The pages as a browser without JavaScript sees them: forms are sent, redirects followed."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.agents.here import service
from app.cursor.client import RunFailed
from app.errors import AppError
from app.keychain import Held
from app.web.static import FOLDER
from tests.app.test_updates import feed, item
from tests.web.conftest import ADDRESS, KEY, Pages

ROOT = Path(__file__).resolve().parents[2]


def enter_key(pages: Pages, key: str = KEY) -> None:
    assert pages.post("/app/key", key=key).status_code == 200


def test_the_root_is_a_page_for_browsers_and_health_for_programs(pages: Pages) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = pages.client.get("/", headers=browser, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/app/")
    for accept in ("*/*", "application/json"):
        assert pages.client.get("/", headers={"accept": accept}).json()["service"] == "API for Cursor"
    assert pages.client.get("/app", follow_redirects=False).headers["location"] == "/app/"
    assert pages.client.get("/health", headers=browser).json()["service"] == "API for Cursor"


def test_from_the_first_start_to_the_first_agent(pages: Pages, home: Path) -> None:
    (home / ".config/opencode").mkdir(parents=True)
    first = pages.client.get("/app/")
    assert first.url.path == "/app/welcome"
    assert 'href="https://cursor.com/dashboard"' in first.text
    key = pages.post("/app/key", key=f"  {KEY}\n", next="welcome")
    assert (key.status_code, key.url.path) == (200, "/app/welcome")
    assert "ada@example.com" in key.text and "…9876" in key.text
    answered = pages.post("/app/welcome/test")
    assert "Hello there" in answered.text
    assert "Set up OpenCode" in answered.text
    assert "Set up OpenCode" in pages.get("/app/welcome")  # it goes on where it was left
    assert "step 3 of 3" in pages.get("/app/")
    assert "Everything is set up" not in pages.get("/app/welcome")
    service("http://127.0.0.1:8787").install("opencode")
    whole = pages.get("/app/welcome")
    assert "Everything is set up" in whole and "choose a model of API for Cursor with /models" in whole
    assert '<button class="primary">Finish' in whole
    done = pages.post("/app/welcome/done")
    assert done.url.path == "/app/"
    assert "step 3 of 3" not in pages.get("/app/")
    assert pages.state.preferences().preferences.setup == "done"


def test_the_first_steps_can_be_skipped_and_taken_up_again(pages: Pages) -> None:
    skipped = pages.post("/app/welcome/dismissed")
    assert skipped.url.path == "/app/"
    assert "step 1 of 3" in skipped.text
    assert pages.client.get("/app/").url.path == "/app/"
    assert "Your key" in pages.get("/app/welcome")


def test_a_first_answer_that_fails_says_why(pages: Pages) -> None:
    enter_key(pages)
    pages.bridge.script = (RunFailed("rate_limit", "slow down"),)
    answer = pages.post("/app/welcome/test")
    assert answer.status_code == 502
    assert "slow down" in answer.text
    assert "Say hello" in answer.text
    assert pages.state.activity.last(1)[pages.state.activity.today].errors == 1


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 422, "Nothing was entered."),
        ("two words here", 422, "other characters than a key has"),
        ("short", 422, "it has 5 characters"),
        ("key_that_is_bad_0", 422, "Cursor refuses this key."),
        ("key_that_is_busy_0", 503, "could not be asked"),
    ],
)
def test_a_wrong_key_is_not_kept_and_not_repeated(pages: Pages, key: str, status: int, words: str) -> None:
    answer = pages.post("/app/key", key=key)
    assert answer.status_code == status
    assert words in answer.text
    assert pages.state.keys.held.state == "absent"
    assert not key or f'value="{key}"' not in answer.text


def test_a_key_that_cannot_be_checked_is_kept_if_the_user_says_so(pages: Pages) -> None:
    assert "Keep it without a check" in pages.post("/app/key", key="key_that_is_busy_0").text
    kept = pages.post("/app/key", key="key_that_is_busy_0", unchecked="yes")
    assert "It was not checked" in kept.text
    assert pages.state.keys.held.key == "key_that_is_busy_0"


def test_a_key_is_checked_replaced_and_removed(pages: Pages) -> None:
    enter_key(pages)
    assert "Cursor accepts the key." in pages.post("/app/key/check").text
    enter_key(pages, "key_for_pages_5555")
    assert "…5555" in pages.get("/app/")
    removed = pages.post("/app/key/remove")
    assert "The key is removed." in removed.text
    assert pages.state.keys.held.state == "absent"


def test_no_page_has_the_key(pages: Pages) -> None:
    enter_key(pages)
    for path in ("", "agents", "activity", "playground", "settings", "updates", "welcome"):
        assert KEY not in pages.get(f"/app/{path}")


def test_settings_are_kept_and_followed(pages: Pages) -> None:
    answer = pages.post(
        "/app/settings",
        port="9123",
        origins="https://one.example\nhttp://two.example:8080",
        responses_tools="yes",
        log_level="warning",
        keep_logs="2",
    )
    assert "The settings are saved." in answer.text
    kept = pages.state.preferences().preferences
    assert kept.port == 9123
    assert kept.origins == ("https://one.example", "http://two.example:8080")
    assert pages.state.settings.responses_tools
    assert "for the new number of older log files and port to count" in answer.text
    assert 'value="9123"' in answer.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("port", "0", "port cannot be"),
        ("port", "99999", "port cannot be"),
        ("port", "<b>", "port cannot be"),
        ("keep_logs", "-1", "the number of older log files cannot be"),
        ("origins", "not an origin", "origins cannot be"),
    ],
)
def test_settings_that_cannot_be_are_refused_and_stay_in_the_form(
    pages: Pages, field: str, value: str, words: str
) -> None:
    before = pages.state.preferences()
    entered = {"port": "9001", "keep_logs": "3", "origins": "", field: value}
    answer = pages.post("/app/settings", None, **entered)
    assert answer.status_code == 422
    assert words in answer.text.lower()
    assert "<b>" not in answer.text
    assert pages.state.preferences() == before


def test_what_comes_from_outside_is_escaped(pages: Pages) -> None:
    pages.client.post(
        "/v1/chat/completions",
        json={"model": "composer-2.5", "messages": []},
        headers={"user-agent": "<script>alert(1)</script>/1"},
    )
    pages.client.get("/v1/<img src=x onerror=alert(1)>")
    text = pages.get("/app/activity")
    assert "<img" not in text.replace('<img src="/app/static/icon.svg"', "")
    assert "<script>" not in text
    assert "&lt;img" in text


def test_only_known_words_are_said(pages: Pages) -> None:
    assert "The settings are saved." in pages.get("/app/settings?said=settings")
    assert "evil" not in pages.get("/app/settings?said=evil").replace("/app/settings?said=evil", "")


def test_htmx_gets_the_part_that_changes(pages: Pages) -> None:
    part = pages.get("/app/settings", **{"hx-request": "true"})
    assert part.lstrip().startswith("<title>Settings")
    assert "<main" in part and "<html" not in part and "<nav" not in part


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/app/none", 404), ("GET", "/app/agents/none", 404), ("GET", "/app/key", 405)],
)
def test_errors_are_pages(pages: Pages, method: str, path: str, status: int) -> None:
    answer = pages.client.request(method, path)
    assert answer.status_code == status
    assert "<h1>" in answer.text


def test_a_page_that_fails_says_so_and_keeps_its_secrets(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setattr("app.web.playground.status", fail)
    client = TestClient(pages.client.app, base_url=ADDRESS.url, raise_server_exceptions=False)
    client.cookies = pages.client.cookies
    answer = client.get("/app/playground")
    assert answer.status_code == 500
    assert "This went wrong" in answer.text
    assert "secret words" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_updates_say_why_they_cannot_be_looked_for(pages: Pages) -> None:
    assert "knows no feed of updates" in pages.get("/app/updates")
    saved = pages.post("/app/updates", channel="beta")
    assert "The settings are saved." in saved.text
    kept = pages.state.preferences().preferences
    assert (kept.channel, kept.check_for_updates) == ("beta", False)


def test_an_agent_that_waits_for_a_setting_says_so_until_it_is_on(pages: Pages) -> None:
    service("http://127.0.0.1:8787").install("codex")
    assert "turn them on in Settings" in pages.get("/app/agents/codex")
    pages.post("/app/settings", port="8787", keep_logs="5", responses_tools="yes")
    page = pages.get("/app/agents/codex")
    assert "codex --profile cursorapi" in page and "turn them on" not in page


def test_the_page_looks_for_updates_when_it_is_opened_unless_told_not_to(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 'hx-trigger="load, submit"'
    assert looks not in pages.get("/app/updates")  # without a feed
    pages.state.settings = dataclasses.replace(pages.state.settings, feed="http://127.0.0.1:9/appcast.xml")
    assert looks in pages.get("/app/updates")
    refused = pages.post("/app/updates/check")
    assert refused.status_code == 502 and looks not in refused.text
    monkeypatch.setattr("app.updates.download", lambda url: feed(item("7")))
    found = pages.post("/app/updates/check")
    assert "1.7 is there" in found.text and looks not in found.text
    pages.post("/app/updates", channel="stable")
    assert looks not in pages.get("/app/updates")


def test_a_problem_with_the_settings_file_is_shown(pages: Pages) -> None:
    assert pages.state.file is not None
    pages.state.file.path.parent.mkdir(exist_ok=True)
    pages.state.file.path.write_text("{ broken")
    assert "could not be understood" in pages.get("/app/settings")


def test_static_files_are_asked_for_once(pages: Pages) -> None:
    first = pages.client.get("/app/static/app.css")
    again = pages.client.get("/app/static/app.css", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert pages.client.get("/app/static/..%2faccess.py").status_code == 404


def test_templates_have_no_script_and_no_style_of_their_own() -> None:
    for path in (FOLDER.parent / "templates").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|\|\s*safe", text), path
        assert not re.search(r"<script(?! src=)", text), path
        assert "http://" not in text and "https://" not in text.replace("https://tool.example", ""), path


def test_the_server_starts_without_the_pages() -> None:
    program = """
import json, sys
import app.server.serve
print(json.dumps([name for name in sys.modules if name.split(".")[0] in ("jinja2", "tomlkit", "ruamel")
    or name.startswith(("app.web.", "app.agents"))]))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(run.stdout) == []


def test_the_icon_is_the_app_s() -> None:
    assert (FOLDER / "icon.svg").read_bytes() == (ROOT / "release/assets/icon/icon.svg").read_bytes()


def test_a_stranger_at_the_address_still_gets_the_api(outside: Pages) -> None:
    assert outside.client.get("/v1/models").status_code == 200
    assert outside.client.get("/health").json()["baseUrl"] == f"{ADDRESS.url}/v1"


# --- updates ---


def offered(pages: Pages, monkeypatch: pytest.MonkeyPatch, data: bytes) -> str:
    """The Updates page after a look at a feed with this content."""
    pages.state.settings = dataclasses.replace(pages.state.settings, feed="https://updates.example/a.xml")
    monkeypatch.setattr("app.updates.download", lambda url: data)
    text: str = pages.post("/app/updates/check").text
    return text


def test_a_newer_version_is_offered(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    text = offered(pages, monkeypatch, feed(item("8")))
    assert "1.8 is there" in text
    assert 'href="https://updates.example/8.dmg"' in text


def test_a_feed_leads_to_web_addresses_only(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    text = offered(pages, monkeypatch, feed(item("8", link="javascript:alert(1)")))
    assert "1.8 is there" in text
    assert "javascript:" not in text


def test_a_feed_that_cannot_be_read_is_told(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is not used" in offered(pages, monkeypatch, b"<rss")


# --- a locked key ---


@dataclass
class Locked:
    """A vault that opens when the user has said so, which takes a second try."""

    name: str = "the Keychain"
    tries: int = 0

    def read(self) -> Held:
        return Held("present", KEY, self.name) if self.tries > 1 else Held("locked", source=self.name)

    def unlock(self) -> Held:
        self.tries += 1
        return self.read()

    def write(self, key: str) -> None:
        raise AppError("it is locked")

    def remove(self) -> None:
        raise AppError("the key could not be removed in the Keychain", cure="unlock it and try again")


def test_a_locked_key_is_unlocked(pages: Pages) -> None:
    pages.state.keys.vault = Locked()
    assert pages.client.portal is not None
    pages.client.portal.call(pages.state.keys.read)
    assert "There may be a key in the Keychain, but it is locked." in pages.get("/app/welcome")
    pages.post("/app/welcome/dismissed")
    assert "The key is locked" in pages.get("/app/")
    declined = pages.post("/app/key/unlock")
    assert declined.status_code == 409
    assert "It is still locked." in declined.text
    assert "The key is unlocked." in pages.post("/app/key/unlock").text
    assert "…9876" in pages.get("/app/")
    refused = pages.post("/app/key/remove")
    assert refused.status_code == 409
    assert "unlock it and try again" in refused.text
