"""docs/app.md against the code: nothing that a user can set is left out of it."""

from __future__ import annotations

import argparse
import re

from app.cli.main import parser
from app.cli.status import MEANINGS
from app.preferences import NAMES
from app.server.build import _api
from tests.app.conftest import ROOT

PAGE = (ROOT / "docs/app.md").read_text()


def test_every_route_is_named() -> None:
    routes = [route.path for route in _api("")] + ["/health", "/control/reload"]
    assert {path for path in routes if path.replace("{id:path}", "{id}") not in PAGE} == set()


def test_every_variable_is_named() -> None:
    """Those that the app reads; CURSOR_SDK_BRIDGE_SOCKET is between the app and its own bridge."""
    sources = "".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    read = set(re.findall(r'"((?:API_FOR_CURSOR|CURSOR|NODE)_[A-Z_]+)"', sources))
    assert {"CURSOR_API_KEY", "API_FOR_CURSOR_KEYCHAIN", "CURSOR_SDK_BRIDGE_SANDBOX"} <= read
    assert {name for name in read - {"CURSOR_SDK_BRIDGE_SOCKET"} if f"`{name}`" not in PAGE} == set()


def test_every_setting_is_named() -> None:
    assert {name for name in NAMES if f"`{name}`" not in PAGE} == set()


def test_every_module_of_the_mac_is_named() -> None:
    modules = {path.name for path in (ROOT / "app/macos").glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"| `{name}` |" not in PAGE} == set()


def test_every_command_and_state_is_named() -> None:
    commands = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    named = {name for name in commands.choices if re.search(rf"^\| `{name}\b", PAGE, re.M)}
    assert set(commands.choices) - named <= {"desktop"}  # which the Mac shell's own part tells of
    assert {status for status in MEANINGS if f"`{status}`" not in PAGE} == set()
