"""The public side over HTTP, as far as a stranger may trust it: every size, time and redirect has a limit."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from release.verify.rows import Wrong

if TYPE_CHECKING:
    import requests

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """`page` and `file` in bytes, `seconds` for one whole answer, `wait` for its next byte."""

    page: int = 64 << 20
    file: int = 4 << 30
    seconds: float = 1800
    wait: float = 60
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, redirects followed: `hops` are the addresses on the way. Header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    hops: tuple[str, ...]
    body: bytes = b""

    def expect(self, status: int = 200, **headers: str) -> Answer:
        """Return itself if status and headers are these (`content_type="…"`); raise Wrong naming both."""
        if self.status != status:
            raise Wrong("another status", where=self.url, expected=status, found=self.status)
        for name, wanted in headers.items():
            given = self.headers.get(name.replace("_", "-"), "none")
            if given != wanted:
                raise Wrong(f"another {name.replace('_', '-')}", where=self.url, expected=wanted, found=given)
        return self

    @property
    def length(self) -> int | None:
        """Content-Length in bytes."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Download:
    """A file that came, hashed on its way to `path`. `size` in bytes, `sha256` hex."""

    answer: Answer
    path: Path
    size: int
    sha256: str


class Web:
    """GET and HEAD within limits. Raises Wrong, or requests' own exceptions. Safe to use from threads."""

    def __init__(self, session: requests.Session, limits: Limits | None = None) -> None:
        self._session = session
        self._limits = limits or Limits()
        session.max_redirects = self._limits.redirects

    def get(self, url: str, **headers: str) -> Answer:
        """Fetch a page whole; `if_none_match="…"` and the like become request headers."""
        with closing(self._ask("GET", url, headers)) as response:
            return _answer(response, b"".join(self._pieces(response, self._limits.page)))

    def peek(self, url: str, **headers: str) -> Answer:
        """Fetch status and headers of a GET, leaving its body."""
        with closing(self._ask("GET", url, headers)) as response:
            return _answer(response)

    def head(self, url: str) -> Answer:
        """Ask HEAD."""
        with closing(self._ask("HEAD", url, {})) as response:
            return _answer(response)

    def download(self, url: str, path: Path | None, check: Callable[[Answer], object]) -> Download:
        """Stream a file to `path` (None: nowhere), hashing; `check` sees status and headers first."""
        with closing(self._ask("GET", url, {})) as response:
            answer = _answer(response)
            check(answer)
            hasher, size = hashlib.sha256(), 0
            with (path or Path("/dev/null")).open("wb") as out:
                for piece in self._pieces(response, self._limits.file):
                    hasher.update(piece)
                    out.write(piece)
                    size += len(piece)
        return Download(answer, path or Path("/dev/null"), size, hasher.hexdigest())

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        asked = {"Accept-Encoding": "identity"}  # a compressed answer has another length
        asked |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        response = self._session.request(
            method, url, headers=asked, stream=True, timeout=(10, self._limits.wait), allow_redirects=True
        )
        way = [hop.url for hop in (*response.history, response)]
        if url.startswith("https:") and not all(one.startswith("https:") for one in way):
            response.close()
            raise Wrong("it redirects from https to http", where=url, found=" → ".join(way))
        return response

    def _pieces(self, response: requests.Response, most: int) -> Iterator[bytes]:
        end, size = time.monotonic() + self._limits.seconds, 0
        for piece in response.iter_content(PIECE):
            size += len(piece)
            if size > most:
                raise Wrong(f"more than {most:,} bytes, and no end to it", where=response.url)
            if time.monotonic() > end:
                raise Wrong(f"not done after {self._limits.seconds:g} s", where=response.url)
            yield piece


def _answer(response: requests.Response, body: bytes = b"") -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    hops = tuple(hop.url for hop in response.history)
    return Answer(response.url, response.status_code, headers, hops, body)
