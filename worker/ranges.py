"""Ranges and conditions of HTTP (RFC 9110), decided without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Literal

from worker.ports import Object

_RANGE = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")
_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes from `start` to before `end`."""

    start: int
    end: int


def requested(header: str | None, size: int) -> Slice | Literal["refused"] | None:
    """Read a Range header for `size` bytes: one range, "refused" (416), or None for everything.

    Several ranges at once are refused: nobody who downloads a disk image needs them, and they are a way to
    make a server work. A header that is malformed or of another unit is ignored, as the RFC says.
    """
    if header is None or not header.startswith("bytes="):
        return None
    ranges = header.removeprefix("bytes=").split(",")
    if len(ranges) > 1:
        return "refused"
    match = _RANGE.fullmatch(ranges[0])
    if match is None or not (match[1] or match[2]):
        return None
    return _bounded(match[1], match[2], size)


def _bounded(first: str, last: str, size: int) -> Slice | Literal["refused"] | None:
    if len(first) > 19 or len(last) > 19:  # more than any file; and int() of a million digits takes long
        return "refused"
    if not first:
        start, end = max(0, size - int(last)), size
    elif last and int(last) < int(first):
        return None
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return Slice(start, end) if start < end else "refused"


def precondition_failed(headers: Mapping[str, str], found: Object) -> bool:
    """Whether If-Match or If-Unmodified-Since ask for another object than this one: 412."""
    wanted = headers.get("if-match")
    if wanted is not None:
        return wanted.strip() != "*" and found.etag not in _TAG.findall(wanted)
    since = _date(headers.get("if-unmodified-since"))
    return since is not None and int(found.modified) > since


def not_modified(headers: Mapping[str, str], found: Object) -> bool:
    """Whether the client has this very object already: 304."""
    known = headers.get("if-none-match")
    if known is not None:
        return is_known(known, found.etag)
    since = _date(headers.get("if-modified-since"))
    return since is not None and int(found.modified) <= since


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match has the tag, compared weakly as the RFC wants it."""
    tags = (tag.removeprefix("W/") for tag in _TAG.findall(if_none_match))
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in tags


def range_applies(headers: Mapping[str, str], found: Object) -> bool:
    """Whether If-Range, if there is one, means this very object; else the whole is sent."""
    only = headers.get("if-range")
    if only is None:
        return True
    if only.startswith(('"', "W/")):
        return only == found.etag and not only.startswith("W/")
    return _date(only) == int(found.modified)


def http_date(seconds: float) -> str:
    """Write a time as HTTP does."""
    return formatdate(int(seconds), usegmt=True)


def _date(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None
