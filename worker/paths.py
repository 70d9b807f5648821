"""From a request's path to the object it names. Strict: what could mean something else means nothing."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

FEED = "appcast.xml"
RELEASES = "releases/"

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*")
_PAGE = re.compile(rb"/releases/([0-9][0-9A-Za-z.+-]*)/")
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f]")
LONGEST = 1024  # bytes of a key, as in S3


class BadPath(Exception):
    """The path cannot be decoded: its percent escapes are broken, or they are not UTF-8."""


def broken(raw: bytes) -> bool:
    """Whether a raw path has a percent sign that escapes nothing."""
    return _BAD_ESCAPE.search(raw) is not None


def segments(raw: bytes) -> tuple[str, ...]:
    """Split a raw path at its slashes, then decode each part once. Raises BadPath."""
    if broken(raw):
        raise BadPath
    try:
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in raw.removeprefix(b"/").split(b"/"))
    except UnicodeDecodeError:
        raise BadPath from None


def key_of(raw: bytes) -> str | None:
    """Give the key behind `/appcast.xml`, `/releases/<name>` or `/releases/<version>/<name>`, else None.

    Raises BadPath. An escaped slash, a backslash, a control character, `.`, `..` and names that begin with a
    dot name nothing, in whatever encoding they come.
    """
    parts = segments(raw)
    if parts == (FEED,):
        return FEED
    if len(raw) > LONGEST or parts[0] + "/" != RELEASES or not 2 <= len(parts) <= 3:
        return None
    if not all(_plain(part) for part in parts) or (len(parts) == 3 and not _VERSION.fullmatch(parts[1])):
        return None
    return "/".join(parts)


def page_of(raw: bytes) -> str | None:
    """Give the version whose page `/releases/<version>/` is, else None. No object has such a path."""
    match = _PAGE.fullmatch(raw)
    return match[1].decode() if match and len(raw) <= LONGEST else None


def _plain(part: str) -> bool:
    return bool(part) and not part.startswith(".") and ".." not in part and not _FORBIDDEN.search(part)
