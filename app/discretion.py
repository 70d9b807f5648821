"""What others' messages may not carry to a client: keys, and where things are on this machine."""

from __future__ import annotations

import re

LONGEST = 1000  # characters
SECRETS = re.compile(
    r"(?i)\b(bearer\s+)\S+|\b((?:key|crsr|cursor|sk)[_-])[\w-]{8,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+"
)
# A path begins where a word does, so the ones in URLs are not meant.
PATHS = re.compile(r"""(?:(?<=^)|(?<=[\s'"`(=\[]))(?:file://)?(?:/[^\s'"`():,;\]/]+){2,}/?(?::\d+)*""")


def discreet(message: str) -> str:
    """Give `message` without keys, tokens and absolute paths, and not without end."""
    message = SECRETS.sub(lambda found: f"{found[1] or found[2] or ''}***", message[: 4 * LONGEST])
    return PATHS.sub("…", message)[:LONGEST]
