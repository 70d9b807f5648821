"""Tell the caches between bucket and users that something has changed.

What may change is cached for a minute (objects.SHORT), so a purge that fails delays a release by that much
and spoils nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from errors import Exit, Fault
from signing.clock import Clock, backoff

if TYPE_CHECKING:
    import requests

MOST_URLS = 30  # in one call
TRIES = 4
BUSY = (429, 500, 502, 503, 504)
TIMEOUT = (10, 30)  # seconds to connect, to answer


class Purge(Protocol):
    """Makes caches forget."""

    def __call__(self, urls: Sequence[str]) -> None:
        """Drop what is cached of these addresses. Raises Fault if that cannot be had."""
        ...


def nothing(urls: Sequence[str]) -> None:
    """Purge where nothing caches."""


@dataclass(frozen=True, slots=True)
class Cloudflare:
    """The cache of a Cloudflare zone. `token` needs the permission Zone / Cache Purge.

    Format: POST /zones/{zone}/purge_cache {"files": [url, …]}, answered {"success": …, "errors": […]}.
    """

    api: str
    zone: str
    token: str
    session: requests.Session
    clock: Clock

    def __call__(self, urls: Sequence[str]) -> None:
        """See Purge. Tried again, a few seconds apart, while the other side is busy or out of reach."""
        for start in range(0, len(urls), MOST_URLS):
            self._purge(list(urls[start : start + MOST_URLS]))

    def _purge(self, urls: list[str]) -> None:
        problem = ""
        for number, pause in zip(range(TRIES), backoff(1, 8), strict=False):
            again, problem = self._ask(urls)
            if not problem:
                return
            if not again or number == TRIES - 1:
                break
            self.clock.sleep(pause)
        raise Fault(
            f"the cache was not purged: {problem}",
            where=self.api,
            cure="nothing to do, caches follow within a minute; for the next time check publish.purge_token",
            status=Exit.NETWORK,
        )

    def _ask(self, urls: list[str]) -> tuple[bool, str]:
        """Ask once: whether trying again may help, and what is wrong ("" if nothing is)."""
        import requests

        try:
            answer = self.session.post(
                f"{self.api.rstrip('/')}/zones/{self.zone}/purge_cache",
                json={"files": urls},
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return True, type(error).__name__
        if answer.status_code == 200 and _success(answer):
            return False, ""
        return answer.status_code in BUSY, f"it answered {answer.status_code}{_said(answer)}"


def _success(answer: requests.Response) -> bool:
    try:
        return answer.json().get("success") is True
    except (ValueError, AttributeError):
        return False


def _said(answer: requests.Response) -> str:
    try:
        errors = [f"{error['code']} {error['message']}" for error in answer.json()["errors"]]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {'; '.join(errors)}" if errors else ""
