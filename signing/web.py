"""HTTP with the patience that Apple's services need: lost connections, 429 and 5xx are tried again.

An answer below 500 (other than 429) is handed back as it is; what it means is the caller's business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from errors import Exit, Fault
from signing.clock import Clock, SystemClock, backoff

TIMEOUT = (15.0, 120.0)
LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
RETRIED = requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError


class Headers(AuthBase):
    """Sets headers at the last moment; unlike `headers=`, a ~/.netrc entry cannot replace them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers to a prepared request."""
        request.headers.update(self.headers)
        return request


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it is made: keyword arguments for requests, made anew for each attempt."""

    method: str
    url: str
    arguments: Callable[[], Mapping[str, Any]] = dict

    @property
    def where(self) -> str:
        """The URL without its query, which may carry a signature."""
        return self.url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Web:
    """A session that tries again, with pauses that double from `first` to `limit` seconds, plus jitter."""

    session: requests.Session = field(default_factory=requests.Session)
    clock: Clock = field(default_factory=SystemClock)
    attempts: int = 6
    first: float = 1.0
    limit: float = 30.0
    jitter: Callable[[], float] = random.random

    def send(self, call: Call) -> requests.Response:
        """Return the first usable answer; Fault NETWORK when every attempt failed, naming the last reason."""
        reason = ""
        for attempt, pause in zip(range(1, self.attempts + 1), backoff(self.first, self.limit), strict=False):
            try:
                response = self.session.request(
                    call.method,
                    call.url,
                    timeout=TIMEOUT,
                    proxies=proxies(call.url),
                    **dict(call.arguments()),
                )
            except RETRIED as error:
                reason = describe(error)
                if isinstance(error, requests.exceptions.SSLError):
                    break
            except requests.RequestException as error:
                raise unreachable(call.where, describe(error)) from error
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                reason = f"HTTP {response.status_code}"
                pause = max(pause, retry_after(response, self.limit))
            if attempt < self.attempts:
                self.clock.sleep(pause * (1 + self.jitter() / 4))
        raise unreachable(call.where, reason)


def proxies(url: str) -> dict[str, str] | None:
    """Return what keeps requests from asking a proxy (of HTTP_PROXY) for this very machine."""
    return {"http": "", "https": "", "all": ""} if urlsplit(url).hostname in LOOPBACK else None


def retry_after(response: requests.Response, limit: float) -> float:
    """Return the pause in seconds that Retry-After asks for, at most `limit`; 0 without one."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), limit) if value.isdigit() else 0.0


def describe(error: BaseException) -> str:
    """Say in a few words why there was no answer, without the URL (its query may be a secret)."""
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT[1]:g} s"
    return next((text for link in chain(error) if (text := os_reason(link))), type(error).__name__)


def chain(error: BaseException) -> list[BaseException]:
    """Return the error and all it was caused by, outermost first: causes, contexts, wrapped arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    return found


def os_reason(error: BaseException) -> str:
    """Return the operating system's words for an error, or nothing."""
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        return error.strerror
    return ""


def unreachable(where: str, reason: str) -> Fault:
    """Return the fault for a service that did not answer usefully."""
    return Fault(
        f"no usable answer from the server: {reason}",
        where=where,
        cure="check the connection and run the same command again; nothing was lost",
        status=Exit.NETWORK,
    )
