import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.agents.registry import AGENTS
from app.cli.main import main
from tests.app.agents.conftest import files_of
from tests.app.conftest import ROOT


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("XDG_", "API_FOR_CURSOR_", "CODEX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("API_FOR_CURSOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("API_FOR_CURSOR_CONFIG_DIR", str(tmp_path / "config"))
    return home


def test_the_list_is_for_people_and_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(AGENTS)
    assert lines[0].split()[0] == "opencode"
    assert main(["agents", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [agent.name for agent in AGENTS]
    assert listed[0]["actions"] == ["install"]


def test_install_show_remove_and_undo(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "show", "pi"]) == 0
    assert "+++ " in capsys.readouterr().out
    assert main(["agents", "install", "pi", "codex"]) == 0
    out = capsys.readouterr().out
    assert "pi: set up" in out
    assert "codex --profile cursorapi" in out
    assert out.count("It needs tools in Responses") == 1
    assert "former contents" not in out  # there were none
    assert "http://127.0.0.1:8787/v1" in (here / ".pi/agent/models.json").read_text()
    assert main(["agents", "install", "pi"]) == 0
    assert capsys.readouterr().out == "pi: nothing to change\n"
    assert main(["agents", "remove", "pi"]) == 0
    assert "the former contents are in " in capsys.readouterr().out
    assert main(["agents", "undo", "pi"]) == 0
    assert (here / ".pi/agent/models.json").exists()


def test_a_dry_run_only_shows(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "install", "aider", "--dry-run", "--base-url", "http://localhost:5000"]) == 0
    assert "+openai-api-base: http://localhost:5000/v1" in capsys.readouterr().out
    assert files_of(here) == {}


def test_one_failure_does_not_keep_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "install", "emacs", "pi"]) == 2
    captured = capsys.readouterr()
    assert "there is no agent 'emacs'" in captured.err
    assert "pi: set up" in captured.out


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1", "127.0.0.1:8787", "ftp://127.0.0.1", "http://[::1"]
)
def test_an_address_elsewhere_is_refused(here: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["agents", "install", "pi", "--base-url", url]) == 1
    assert "is no address of this machine" in capsys.readouterr().err


def test_the_libraries_for_others_files_are_loaded_late() -> None:
    late = "[n for n in ('tomlkit', 'ruamel.yaml') if n in sys.modules]"
    code = f"import sys, app.cli.main, app.agents.here; print({late})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
