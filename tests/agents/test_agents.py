"""Real agents against the real server: set up by Agent Setup in a fresh home, they answer and work.

Each takes two turns of one conversation. In the second, the stand-in's model has it look at a picture,
write a file, then read it and run a command at once; all of it is one run at the backend, suspended while the
agent works.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from release import terminal
from tests.agents import programs
from tests.agents.conftest import Office
from tests.agents.desk import PATIENCE
from tests.app.test_clients import PNG

pytestmark = [pytest.mark.release, pytest.mark.slow]

TITLE = "OpenCode through API for Cursor (a stand-in for Composer)"
COLUMNS = 92
ANSWER = "Hello from the stand-in"
Offices = Callable[..., Office]


def work(folder: Path) -> str:
    picture = folder / "red.png"
    picture.write_bytes(PNG)
    told = f"file={folder}/notes.txt word=harbour picture={picture}"
    return f"[[scenario:work steps=look,write,read+run {told}]]"


def worked(office: Office, said: str) -> None:
    """The agent did what the model asked, told it the outcome, and all that in one run."""
    assert (office.desk.work / "notes.txt").read_text().strip() == "harbour"
    assert said.partition("It says:")[2].count("harbour") == 2
    first, second = office.working()
    assert [PNG in reply.data for reply in second.replies] == [True, False, False, False]
    assert (first.ended, second.ended) == (True, True)
    # The second turn went to the agent of the first, told only what is new.
    assert second.conversation == first.conversation
    assert "scenario" in second.prompt
    assert len(second.prompt) < 500


@pytest.mark.xdist_group("opencode")
def test_opencode(office: Offices) -> None:
    """Its first turn is in a terminal, as a person would see it; a picture of that is kept for the docs."""
    here = office(OPENCODE_DISABLE_MODELS_FETCH="1", OPENCODE_DISABLE_LSP_DOWNLOAD="1")
    here.desk.put("opencode", programs.opencode())
    here.desk.set_up("opencode")
    here.cursor.backend.otherwise = "[[scenario:work steps=write,read,run file=first.txt word=harbour]]"
    ask = "Write the word harbour into first.txt, read it back, and show it with cat."
    seen = terminal.record(
        ["opencode", "run", ask],
        cwd=here.desk.work,
        columns=COLUMNS,
        environment=here.desk.environment,
        patience=PATIENCE,
    )
    assert "It says: harbour" in terminal.plain(seen)
    keep(terminal.draw(f'$ opencode run "{ask}"\r\n{seen}', TITLE, COLUMNS))
    worked(here, here.desk.run("opencode", "run", "--continue", work(here.desk.work)))
    assert here.desk.status("opencode") == "installed"
    # It looks for its plugin's package at npm's registry at every start, and goes on without.
    assert {host.partition(".")[0] for host in here.desk.gate.wanted} <= {"registry"}


def keep(drawn: str) -> None:
    """Keep the picture (docs/images/agents-opencode.svg) where SCREENSHOTS says, if it does."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "agents-opencode.svg").write_text(drawn)


@pytest.mark.xdist_group("pi")
def test_pi(office: Offices, node: Path) -> None:
    here = office()
    here.desk.put("pi", programs.pi(node))
    here.desk.set_up("pi")
    assert ANSWER in here.desk.run("pi", "--model", "cursorapi/composer-2.5", "-p", "Say hello")
    again = ("pi", "--model", "cursorapi/composer-2.5", "--continue", "-p", work(here.desk.work))
    worked(here, here.desk.run(*again))
    assert here.desk.status("pi") == "installed"
    assert here.desk.gate.wanted == set()


@pytest.mark.xdist_group("codex")
def test_codex(office: Offices) -> None:
    """Its own sandbox is off, which cannot do in a temporary home, and here has nothing to guard against."""
    here = office()
    here.desk.put("codex", programs.codex())
    here.desk.set_up("codex")
    quiet = ("-c", "analytics.enabled=false", "--disable", "plugins", "--disable", "apps")
    codex = ("codex", "exec", "--profile", "cursorapi", "--skip-git-repo-check", *quiet)
    assert ANSWER in here.desk.run(*codex, "--sandbox", "danger-full-access", "Say hello")
    again = (*codex, "--sandbox", "danger-full-access", "resume", "--last", work(here.desk.work))
    worked(here, here.desk.run(*again))
    # A tool in a namespace, called with an argument it does not know: Codex knows which tool was meant.
    ask = "[[scenario:tools tool=multi_agent_v1__close_agent for=x]]"
    assert "missing field `target`" in here.desk.run(*codex, ask)
    assert here.desk.status("codex") == "installed"
    assert here.desk.gate.wanted == set()


@pytest.mark.xdist_group("aider")
def test_aider(office: Offices) -> None:
    """It has no tools: the model answers with an edit, which it applies and commits."""
    here = office(
        AIDER_CHECK_UPDATE="false", AIDER_ANALYTICS_DISABLE="true", LITELLM_LOCAL_MODEL_COST_MAP="True"
    )
    here.desk.put("aider", programs.aider())
    here.desk.set_up("aider")
    (here.desk.work / "greet.py").write_text('print("hello")\n')
    git = ("git", "-C", str(here.desk.work))
    for words in (("init", "-q"), ("add", "greet.py"), ("commit", "-q", "-m", "Greet")):
        here.desk.run(*git, *words)
    ask = '[[scenario:edit file=greet.py old=print("hello") new=print("ahoy")]]'
    said = here.desk.run("aider", "--yes-always", "--no-gitignore", "greet.py", "--message", ask)
    assert "Applied edit to greet.py" in said
    assert (here.desk.work / "greet.py").read_text() == 'print("ahoy")\n'
    assert here.desk.run(*git, "log", "-1", "--format=%s").strip() == "Greet otherwise"
    assert [run.params["fast"] for run in here.cursor.runs] == ["false", "true"]
    assert here.desk.status("aider") == "installed"
    assert here.desk.gate.wanted == set()
