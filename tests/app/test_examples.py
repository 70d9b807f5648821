"""Every example in docs/app.md, run as it stands against the whole server with the real SDK."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from commands import Subprocess
from tests.app.conftest import KEY, ROOT, environment_of, served
from tests.app.test_hostile import SMALL
from tests.standins import cursor_messages as agent
from tests.standins.cursor import CursorStandIn
from tests.standins.cursor_scenarios import SCENARIOS, Arguments, Stage

ADDRESS = "http://127.0.0.1:8787"
BLOCK = re.compile(r"^```(sh|python|javascript)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = BLOCK.findall((ROOT / "docs/app.md").read_text("utf-8"))

# What an example asks or does: what the backend is to play for it, and what must come out.
EXPECTED = {
    "Name three colours.": ("[[scenario:colours]]", "['red', 'green', 'blue']"),
    "What is the weather in Paris?": ("[[scenario:tools]]", "18 °C, windy"),
    "gpt-5": ("gpt-5", "model_not_found model"),
    "And in French?": ("And in French?", "Hello from the stand-in"),
    '"stream": true': ('"stream": true', "data: [DONE]"),
    "Hello": ("Hello", "Hello from the stand-in"),
    "/health": ("/health", '"status":"ready"'),
    "/v1/models": ("/v1/models", "composer-2.5-fast"),
}


async def colours(stage: Stage, arguments: Arguments) -> None:
    await stage.say(agent.text_delta('```json\n{"colours": ["red", "green", "blue"]}\n```'))
    await stage.say(agent.turn_ended(5, 5))
    await stage.end()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, bridge_js: Path, bun: Path) -> Iterator[str]:
    SCENARIOS["colours"] = colours
    with CursorStandIn() as cursor:
        data = tmp_path_factory.mktemp("examples") / "data"
        settings = Settings(data, key=KEY, backend_url=cursor.url, bridge_js=bridge_js, runtime=bun)
        with served(environment_of(settings)) as server:
            until_ready(server.url)
            yield server.url
            assert server.stop() == 0
        assert {run.key for run in cursor.runs} <= {KEY}


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/health") as answer:
            if json.load(answer)["status"] == "ready":
                return
        time.sleep(0.05)
    raise AssertionError("the bridge is not ready")


@pytest.fixture(scope="module")
def packages() -> Path:
    """OpenAI's JavaScript client."""
    from release import inputs

    return inputs.bridge_modules(inputs.Cache(), ROOT / "tests/app/javascript", runner=Subprocess())


def command(language: str, code: str, folder: Path, bun: Path) -> list[str | Path]:
    match language:
        case "python":
            return [sys.executable, "-c", code]
        case "javascript":
            (folder / "example.mjs").write_text(code)
            return [bun, "--no-install", "--no-env-file", "example.mjs"]
        case _:
            return ["sh", "-e", "-c", code]


@pytest.mark.release
@pytest.mark.parametrize(("language", "code"), EXAMPLES, ids=[f"{n}-{e[0]}" for n, e in enumerate(EXAMPLES)])
def test_an_example(language: str, code: str, url: str, bun: Path, packages: Path, tmp_path: Path) -> None:
    wanted = [expected for phrase, (_, expected) in EXPECTED.items() if phrase in code]
    assert wanted, "nobody knows what should come of this example"
    assert ADDRESS in code
    code = code.replace(ADDRESS, url)
    for phrase, (played, _) in EXPECTED.items():
        code = code.replace(phrase, played)
    (tmp_path / "picture.png").write_bytes(SMALL)
    (tmp_path / "node_modules").symlink_to(packages)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command(language, code, tmp_path, bun),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout if language != "sh" else done.stdout + joined(done.stdout)
    for expected in wanted:
        assert expected in said


def joined(events: str) -> str:
    """The text of a stream's deltas."""
    data = [line[6:] for line in events.splitlines() if line.startswith("data: {")]
    choices = [choice for item in data for choice in json.loads(item)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_all_languages_have_examples() -> None:
    assert {language for language, _ in EXAMPLES} == {"sh", "python", "javascript"}
    assert len(EXAMPLES) >= 12
