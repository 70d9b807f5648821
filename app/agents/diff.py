"""The change of a file as people see it before it is made, with the secrets in it masked."""

from __future__ import annotations

import difflib
import re

from app.agents.disk import BOM, Change
from app.agents.model import KEY

MASK = "••••"

_WORD = "key(?!b|map|word)|token|secret|password|passwd|credential|authorization|cookie"
_QUOTED = r"""\"(?:[^"\\]|\\.)*\"|'[^']*'"""
_BARE = r"""[^\s,\]}#"'{\[](?:[^,\]#\n]*[^\s,\]}#])?"""
# What a name begins with is not looked at, and its end only so far: in a long word either takes a time that
# grows with the square of its length.
_NAMED = re.compile(
    rf"""(?P<name>(?:{_WORD})[\w.-]{{0,200}}["']?\s*[:=]\s*)(?P<value>{_QUOTED}|{_BARE})""", re.I
)
_LISTED = re.compile(r"""(?P<name>(?:-\s+|[\[,]\s*)["']?[\w.-]+=)(?P<value>[^\s"',\]=]+)""")
_KNOWN = re.compile(
    r"(?:sk|pk|key|crsr|ghp|gho|ghs|glpat|xox[abp]|hf|gsk|r8|pplx|tvly|AIza|AKIA|eyJ)[-_A-Za-z0-9.]{16,}"
)
_IN_URL = re.compile(r"(?P<name>://[^\s/:@]*:)(?P<value>[^\s/@]+)(?=@)")
_PLAIN = re.compile(r"[\d.eE+-]+|true|false|null|none", re.I)
_STRING = re.compile(r'(?P<name>:\s*)(?P<value>"(?:[^"\\]|\\.)*")')


def unified(change: Change, *, secret: bool = False) -> str:
    """Give the unified diff of a change, empty if there is none; `secret` masks every value."""
    before, after = _lines(change.before), _lines(change.after)
    old = "/dev/null" if change.before is None else str(change.path)
    new = "/dev/null" if change.after is None else str(change.path)
    lines = difflib.unified_diff(before, after, old, new, lineterm="")
    return "\n".join(mask(line, secret=secret) for line in lines)


def mask(line: str, *, secret: bool = False) -> str:
    """Give a line with what looks like a secret replaced; our own key's text is none and stays."""
    for pattern in (_NAMED, _LISTED, _IN_URL, *((_STRING,) if secret else ())):
        line = pattern.sub(_masked, line)
    return _KNOWN.sub(lambda found: found[0] if KEY in found[0] else MASK, line)


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    bare = value.strip().strip("\"'")
    if bare in ("", KEY) or _PLAIN.fullmatch(bare):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found['name']}{quote}{MASK}{quote}"


def _lines(data: bytes | None) -> list[str]:
    return [] if data is None else data.removeprefix(BOM).decode("utf-8", "replace").splitlines()
