"""The one place that starts other programs.

Everything takes a `Runner`, so a test can hand in a recorder and assert the exact argv, and so a dry run can
print instead of run. Secrets never travel in argv: they go in `env` or `stdin`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from errors import Exit, Fault

INSTALL = {
    "git": "apt-get install git",
    "7z": "apt-get install 7zip",
    "7zz": "apt-get install 7zip",
    "openssl": "apt-get install openssl",
    "codesign": "it is part of macOS: run this step on a Mac, or use the portable one",
    "xcrun": "xcode-select --install",
    "SetFile": "xcode-select --install",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished program left: its argv, exit status and both streams, undecoded."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        """Both streams as text, for a message or a log."""
        return (self.stdout + self.stderr).decode("utf-8", "replace")

    def tail(self, count: int = 8) -> tuple[str, ...]:
        """The last lines of it that are not empty: what went wrong mostly stands there."""
        return tuple(line.rstrip() for line in self.text.splitlines() if line.strip())[-count:]


class Runner(Protocol):
    """Runs one program to its end."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Result:
        """Run `argv`; `env` replaces the environment; raises Fault if absent, late, or (check) not zero."""
        ...


class Subprocess:
    """The real Runner."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Result:
        """See Runner.run."""
        line = tuple(os.fspath(part) for part in argv)
        try:
            done = subprocess.run(
                line,
                cwd=cwd,
                env=None if env is None else dict(env),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as error:
            raise missing(line[0]) from error
        except subprocess.TimeoutExpired as error:
            raise Fault(
                f"{Path(line[0]).name} did not finish in {timeout:g} s", where=shlex.join(line)
            ) from error
        result = Result(line, done.returncode, done.stdout, done.stderr)
        if check and done.returncode:
            raise failed(result)
        return result


def missing(program: str) -> Fault:
    """The fault for a program that is not installed, with the command that installs it where known."""
    name = Path(program).name
    return Fault(
        f"{name} is needed and not installed",
        cure=INSTALL.get(name, f"install {name} and try again"),
        status=Exit.TOOL,
    )


def failed(result: Result) -> Fault:
    """The fault for a program that ended with a status other than zero: its last lines are the details."""
    return Fault(
        f"{Path(result.argv[0]).name} ended with status {result.status}",
        where=shlex.join(result.argv),
        details=result.tail(12),
    )


def find(program: str) -> Path | None:
    """Where `program` is on PATH, or None."""
    found = shutil.which(program)
    return None if found is None else Path(found)
