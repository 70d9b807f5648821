from pathlib import Path

import pytest

from app.agents.diff import mask, unified
from app.agents.disk import Change


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ('  "apiKey": "sk-abcdefghijklmnopqrst",', '  "apiKey": "••••",'),
        ('Authorization = "Bearer abc def", x = 1', 'Authorization = "••••", x = 1'),
        ("env = { GITHUB_TOKEN = 'abc', A = 'b' }", "env = { GITHUB_TOKEN = '••••', A = 'b' }"),
        ("password: hunter2 # mine", "password: •••• # mine"),
        ("  apiKey: ${{ secrets.OPENAI_API_KEY }}", "  apiKey: •••• }}"),
        ("  - anthropic=sk-ant-abc", "  - anthropic=••••"),
        ("api-key: [openai=abc, other=def]", "api-key: [openai=••••, other=••••]"),
        ('args = ["--auth", "ghp_abcdefghijklmnopqrstuvwxyz"]', 'args = ["--auth", "••••"]'),
        ('"url": "https://me:hunter2@acme.example/v1"', '"url": "https://me:••••@acme.example/v1"'),
        ('  "apiKey": "cursor-local"', '  "apiKey": "cursor-local"'),
        ('"max_tokens": 65536,', '"max_tokens": 65536,'),
        ('"keybindings": "vim"', '"keybindings": "vim"'),
        ('"authHeader": true', '"authHeader": true'),
        ('"editor.tokenColors": {', '"editor.tokenColors": {'),
        ('"baseUrl": "http://127.0.0.1:8787/v1"', '"baseUrl": "http://127.0.0.1:8787/v1"'),
    ],
)
def test_secrets_are_masked_and_nothing_else(line: str, masked: str) -> None:
    assert mask(line) == masked


@pytest.mark.parametrize("part", ["ab-cd.", "token-", "://a:", "- a", "[a "])
def test_a_long_line_is_gone_through_once(part: str) -> None:
    """Such as a picture within a setting: a tenth of this once took minutes."""
    line = f'"x": "{part * 30_000}"'
    assert mask(line) == line


def test_a_file_of_secrets_shows_none() -> None:
    change = Change(
        Path("/s.json"), b'{\n "a": "x1",\n "b": "x2"\n}', b'{\n "a": "x1",\n "b": "cursor-local"\n}'
    )
    diff = unified(change, secret=True)
    assert "x1" not in diff
    assert "x2" not in diff
    assert '+ "b": "cursor-local"' in diff


def test_a_new_file_comes_from_nowhere_and_a_removed_one_goes_there() -> None:
    assert unified(Change(Path("/n"), None, b"a\n")).splitlines()[:2] == ["--- /dev/null", "+++ /n"]
    assert unified(Change(Path("/n"), b"a\n", None)).splitlines()[:2] == ["--- /n", "+++ /dev/null"]
    assert unified(Change(Path("/n"), b"a\n", b"a\n")) == ""
