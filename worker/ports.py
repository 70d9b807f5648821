"""What the core needs of its host, each as a narrow Protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Unavailable(Exception):
    """A part of the host does not answer: the bucket, the database, a server elsewhere. Says which."""


class TimedOut(Unavailable):
    """It has been silent for too long."""


class Vanished(Exception):
    """The object is gone, or another one by now."""


@dataclass(frozen=True, slots=True)
class Object:
    """What a bucket knows of an object. `size` in bytes, `etag` as HTTP has it, `modified` epoch seconds.

    `content_type`, `cache_control` and `disposition` are empty where the bucket does not keep them.
    """

    key: str
    size: int
    etag: str
    modified: float
    content_type: str = ""
    cache_control: str = ""
    disposition: str = ""


class ObjectStore(Protocol):
    """The bucket with the releases. Raises Unavailable."""

    async def head(self, key: str) -> Object | None:
        """Tell about an object; None if there is none."""
        ...

    def stream(self, found: Object, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Give the bytes from `start` to before `end` of that very object. Raises Vanished."""
        ...


class Database(Protocol):
    """SQLite's dialect, with `?` for values. Raises Unavailable."""

    async def rows(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        """Run a statement that reads; give its rows."""
        ...

    async def write(self, *statements: tuple[str, Sequence[object]]) -> int:
        """Run statements in one transaction, all or none; give how many rows the last one changed."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of another server's, small enough to be held."""

    status: int
    body: bytes


class Outbound(Protocol):
    """Requests to other servers. Raises Unavailable."""

    async def send(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send one request and take its whole answer; redirects are not followed."""
        ...

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncGenerator[bytes, None]:
        """Send one request and give its body as it comes; an answer other than 200 is Refused.

        Closing it ends the request. So does CURSOR_SDK_BRIDGE_TIMEOUT_MS without a byte: TimedOut.
        """
        ...


class Refused(Exception):
    """A streamed request was answered with another status than 200."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"status {answer.status}")
        self.answer = answer


class Cipher(Protocol):
    """AES-256-GCM with a 16-byte tag behind the text; `iv` has 12 bytes."""

    async def encrypt(self, key: bytes, iv: bytes, text: bytes) -> bytes:
        """Encrypt and seal."""
        ...

    async def decrypt(self, key: bytes, iv: bytes, sealed: bytes) -> bytes:
        """Check and decrypt. Raises ValueError if the seal does not hold."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Give seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a request may need of the host. A part that is not bound is None."""

    releases: ObjectStore | None
    database: Database | None
    outbound: Outbound
    cipher: Cipher
    clock: Clock
    settings: Mapping[str, str]
