"""The pages under test: in process with a scripted bridge, or whole, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.account import asking
from app.cursor.client import RunFailed
from app.cursor.frames import Me
from app.keychain import KeyFile
from app.keys import Keys
from app.preferences import File
from app.server.build import build
from app.server.listening import Address
from app.server.state import State
from app.settings import Settings
from app.web import access
from tests.app.conftest import ScriptedBridge, bridge_js, bun, cursor, node_modules
from tests.standins.cursor import CursorStandIn
from tests.web.browser import CHROMIUM, Site, chromium, site

__all__ = ["bridge_js", "bun", "cursor", "node_modules"]

KEY = "key_for_pages_9876"
ADDRESS = Address("127.0.0.1", 8787)


class Cursor(ScriptedBridge):
    """A bridge that also says whose a key is."""

    async def me(self, key: str) -> Me:
        if "bad" in key:
            raise RunFailed("authentication", "no such key")
        if "busy" in key:
            raise RunFailed("unavailable", "not now")
        return Me(0, "ada@example.com", "Ada", "laptop")


@dataclass
class Pages:
    """A user at the pages, without a browser: links are followed, forms are sent as a browser sends them."""

    client: TestClient
    state: State
    bridge: Cursor

    def enter(self) -> None:
        link = access.link(self.state.settings.data_dir, ADDRESS.url)
        assert self.client.get(link).status_code == 200

    def get(self, path: str, **headers: str) -> str:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    @property
    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.get("/app/settings"))
        assert found
        return found[1]

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
        return self.client.post(path, data={"token": self.token, **fields}, headers=headers)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new user's home, for whatever looks at this process's environment."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("API_FOR_CURSOR_DATA_DIR", str(tmp_path / "data"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CODEX_HOME", "OPENCODE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def outside(tmp_path: Path, home: Path) -> Iterator[Pages]:
    """The pages of a new user, with nobody let in yet."""
    settings = Settings(data_dir=tmp_path / "data", origins=("http://tool.example",))
    bridge = Cursor(settings)
    keys = Keys(KeyFile(settings.data_dir / "key"), asking(bridge))
    app = build(settings, ADDRESS, bridge, keys=keys, file=File(tmp_path / "config/settings.json"))
    with TestClient(app, base_url=ADDRESS.url) as client:
        yield Pages(client, app.state.server, bridge)


@pytest.fixture
def pages(outside: Pages) -> Pages:
    """The same, let in."""
    outside.enter()
    return outside


# --- in a browser ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for a module: while it lives, its thread is taken for an event loop's."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH")
    with chromium() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path, cursor: CursorStandIn, bridge_js: Path, bun: Path) -> dict[str, str]:
    """The environment of a new user's server, with a stand-in for Cursor behind it."""
    return {
        "CURSOR_BACKEND_URL": cursor.url,
        "CURSOR_SDK_BRIDGE_JS": str(bridge_js),
        "CURSOR_SDK_BRIDGE_RUNTIME": str(bun),
        "API_FOR_CURSOR_DATA_DIR": str(tmp_path / "data"),
        "API_FOR_CURSOR_CONFIG_DIR": str(tmp_path / "config"),
        "API_FOR_CURSOR_KEYCHAIN": "file",
    }


@pytest.fixture(scope="session")
def htmx() -> Path:
    """The pinned htmx where the app looks for it."""
    from commands import Subprocess
    from release import bridge

    root = Path(__file__).resolve().parents[2]
    return root / bridge.htmx(root, Subprocess())


@pytest.fixture
def new_site(environ: dict[str, str], tmp_path: Path, htmx: Path) -> Iterator[Site]:
    """A first start: no key, no settings, an empty home."""
    with site(environ, tmp_path / "home") as running:
        yield running


@pytest.fixture
def ready_site(environ: dict[str, str], tmp_path: Path, htmx: Path) -> Iterator[Site]:
    """A server that has a key, with the first steps put off."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings.json").write_text('{"setup": "dismissed"}')
    with site({**environ, "CURSOR_API_KEY": KEY}, tmp_path / "home") as running:
        yield running
