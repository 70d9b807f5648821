"""A Runner that records argv and answers from a script, for asserting exact command lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands import Result, failed

Reply = Callable[[tuple[str, ...]], Result | None]


@dataclass
class Recorder:
    """Keeps every call. `reply` may return a Result (or act on the disk); None means status 0, no output."""

    reply: Reply = lambda argv: None
    calls: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)
    stdins: list[bytes | None] = field(default_factory=list)

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
        line = tuple(os.fspath(part) for part in argv)
        self.calls.append(line)
        self.environments.append(env)
        self.stdins.append(stdin)
        result = self.respond(line, stdin) or Result(line, 0)
        if check and result.status:
            raise failed(result)
        return result

    def respond(self, line: tuple[str, ...], stdin: bytes | None) -> Result | None:
        """What the program does and says; a stand-in that also reads what it is told has its own."""
        return self.reply(line)
