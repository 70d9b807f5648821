"""Where an agent works in a test: a home and a folder of its own, with the agent on PATH and no way out."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.agents.gate import Gate
from tests.app.conftest import ROOT

PATIENCE = 120  # seconds for one answer of an agent, on a loaded machine
SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@dataclass
class Desk:
    root: Path
    url: str  # of the server
    gate: Gate
    switches: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.home, self.work, self.bin, self.root / "tmp"):
            folder.mkdir()
        (self.home / ".gitconfig").write_text("[user]\nname = Tester\nemail = tester@example.com\n")

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        """The folder the agent is started in."""
        return self.root / "work"

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:{SYSTEM}",
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            **self.gate.environment,
            **self.switches,
        }

    def put(self, name: str, line: list[str]) -> None:
        """Put a program on PATH."""
        program = self.bin / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n')
        program.chmod(0o700)

    def set_up(self, agent: str) -> None:
        """Have our Agent Setup write the agent's configuration, as a user would."""
        self._setup("install", agent, "--base-url", f"{self.url}/v1")

    def status(self, agent: str) -> str:
        """What Agent Setup says of the agent."""
        views = json.loads(self._setup("list", "--json", "--base-url", f"{self.url}/v1"))
        return str(next(view["status"] for view in views if view["name"] == agent))

    def _setup(self, *words: str) -> str:
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        return self._run((sys.executable, "-m", "app", "agents", *words), environment)

    def run(self, *argv: str) -> str:
        """Run a program to its end; gives what it wrote to stdout."""
        return self._run(argv, self.environment)

    def _run(self, argv: tuple[str, ...], environment: Mapping[str, str]) -> str:
        process = subprocess.Popen(
            argv,
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        late = ""
        try:
            said, complaints = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            late = f" did not end within {PATIENCE} s"
        finally:
            # What an agent leaves behind ends with it.
            _end_group(process.pid)
        if late:
            said, complaints = process.communicate()
        told = f"{shlex.join(argv)[:300]}{late}\n--- stdout\n{said[-4000:]}\n--- stderr\n{complaints[-4000:]}"
        assert not late, told
        assert process.returncode == 0, told
        return said


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
