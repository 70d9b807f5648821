"""Checkouts for tests that release: a copy of the working tree with a history, and a dist/ of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Checkout:
    """A copy of the working tree with a history of its own, run with this environment's Python."""

    root: Path
    output: str = ""  # of the first release, where a fixture made one

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "invoke", "release", *words]

    def environment(self, **extra: str) -> dict[str, str]:
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **extra}

    def release(self, *words: str, status: int = 0, **extra: str) -> str:
        done = subprocess.run(
            self.argv(*words),
            cwd=self.root,
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    @property
    def current(self) -> Path:
        return self.root / "dist" / "current"

    def summary(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.current / "release.json").read_text())
        return data

    def ran(self) -> list[str]:
        return [step["name"] for step in self.summary()["steps"] if step["status"] == "ran"]


def copy_checkout(target: Path) -> Checkout:
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
    git = ["git", "-C", str(target), "-c", "user.name=Test", "-c", "user.email=test@example.com"]
    when = {
        **os.environ,
        "GIT_COMMITTER_DATE": "2026-06-01T12:00:00Z",
        "GIT_AUTHOR_DATE": "2026-06-01T12:00:00Z",
    }
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "A state to release"]):
        subprocess.run([*git, *words], check=True, env=when)
    return Checkout(target)
