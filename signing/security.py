"""macOS's `security`, told through its standard input what must not stand on a command line.

Everybody on a machine can read a running program's argv. `security -i` reads commands instead; given one
command, its exit status is that command's. It splits lines in its own way (Apple's SecurityTool/security.c):
a backslash escapes inside either quote, and a closing quote ends the word.
"""

from __future__ import annotations

import re

from commands import Result, Runner
from errors import Fault

LONGEST = 4095  # bytes in a line, MAX_LINE_LEN less its end
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")


def tell(runner: Runner, *words: str) -> Result:
    """Run one command of `security` that has a secret in it. Never raises for its status."""
    line = " ".join(quoted(word) for word in words).encode()
    if len(line) > LONGEST:
        raise Fault("a command for `security` is too long", where=f"security {words[0]}")
    return runner.run(["security", "-i"], stdin=line + b"\n", check=False)


def quoted(word: str) -> str:
    """Return a word as `security -i` reads it back. Raises Fault for what can't stand in a line."""
    if _PLAIN.fullmatch(word):
        return word
    if "\n" in word or "\r" in word or "\0" in word:
        raise Fault("a line break can't be told to `security`")
    return '"' + word.replace("\\", r"\\").replace('"', r"\"") + '"'
