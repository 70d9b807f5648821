"""What the checks look at: one release as it would be made now."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from commands import Runner
from release.config import Config
from release.credentials import Credential
from release.places import Places
from release.services import Services
from release.version import Version
from signing.clock import Clock

if TYPE_CHECKING:
    import requests

    from appcast.feed import Feed


class Dates:
    """The times that others' clocks showed, against this machine's: seconds by which ours is ahead."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead: dict[str, float] = {}

    def note(self, host: str, date: str) -> None:
        """Note an answer's Date header; what is none is passed over."""
        try:
            theirs = parsedate_to_datetime(date)
        except ValueError:
            return
        if theirs.tzinfo is None:
            theirs = theirs.replace(tzinfo=UTC)
        self.ahead[host] = self._clock.now() - theirs.timestamp()

    def watch(self, session: requests.Session) -> requests.Session:
        """Note the time in every answer that `session` gets."""

        def look(answer: requests.Response, *_: Any, **__: Any) -> None:
            if "Date" in answer.headers:
                self.note(urlsplit(answer.url).hostname or "", answer.headers["Date"])

        session.hooks["response"].append(look)
        return session


@dataclass(slots=True)
class Case:
    """A release that is to be looked at. `asked`: the version wished for, if not the tag's.

    `taken`: the app that was built is taken as it is (--from a later step).
    """

    config: Config
    version: Version
    places: Places
    services: Services
    runner: Runner
    clock: Clock
    credentials: tuple[Credential, ...]
    environ: Mapping[str, str]
    asked: str | None = None
    taken: bool = False
    _feed: list[Feed | None] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    dates: Dates = field(init=False)

    def __post_init__(self) -> None:
        self.dates = Dates(self.clock)

    @property
    def missing(self) -> frozenset[str]:
        """Keys of the secrets that a release needs and that are not there."""
        return frozenset(one.key for one in self.credentials if one.missing)

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def public(self) -> Feed | None:
        """Return the feed that is public, read once: from the bucket, or from the site without its keys."""
        with self._lock:
            if not self._feed:
                self._feed.append(self._read())
            return self._feed[0]

    def _read(self) -> Feed | None:
        if any(key.startswith("publish.") for key in self.missing):
            from release import published

            return published.feed(self.config, self.services)
        found = self.services.public_side.read()
        return None if found is None else found.feed
