"""A git repository with a changelog, made anew for a test; real git, which signs with an SSH key."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}  # deaf to whoever runs the tests

CHANGELOG = """\
# Changelog

What changed.

## [Unreleased]

### Added

- A thing.

### Fixed

- Another.

## [1.1.0] - 2026-02-03

### Added

- The beginning.

[Unreleased]: https://example.test/compare/v1.1.0...HEAD
[1.1.0]: https://example.test/releases/v1.1.0
"""
GERMAN = CHANGELOG.replace("A thing.", "Ein Ding.").replace("Another.", "Noch eins.")


@dataclass(frozen=True)
class Repository:
    """A checkout. `git` runs git in it and returns what it says."""

    root: Path

    def git(self, *words: str) -> str:
        environment = {**os.environ, **ALONE}
        line = ["git", "-C", str(self.root), *words]
        return subprocess.run(
            line, check=True, capture_output=True, text=True, env=environment
        ).stdout.strip()

    def commit(self, message: str = "A change") -> str:
        self.git("add", ".")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text("utf-8")

    def sign_with_ssh(self, folder: Path) -> None:
        """Make a throwaway SSH key, let git sign with it and know it as the maintainer's."""
        key = folder / "signing-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        allowed = folder / "allowed"
        allowed.write_text(f"maintainer@example.test {key.with_suffix('.pub').read_text()}")
        self.git("config", "gpg.format", "ssh")
        self.git("config", "user.signingkey", str(key))
        self.git("config", "gpg.ssh.allowedSignersFile", str(allowed))


def repository(root: Path, *, changelog: str = CHANGELOG, tag: str = "v1.1.0") -> Repository:
    """Make one with release.toml, an app, a changelog and a tag."""
    root.mkdir(parents=True, exist_ok=True)
    made = Repository(root)
    made.git("init", "-q", "-b", "main")
    for key, value in (("user.name", "Maintainer"), ("user.email", "maintainer@example.test")):
        made.git("config", key, value)
    shutil.copy2(HERE / "release.toml", root)
    made.write(".gitignore", "dist/\n")
    made.write("app/a.py", "1\n")
    made.write("CHANGELOG.md", changelog)
    made.commit("A state to release")
    if tag:
        made.git("tag", tag)
    made.write("app/a.py", "2\n")
    made.commit("A thing")
    return made
