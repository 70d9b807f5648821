"""Cloudflare's API: is the token alive, and may it see the zone whose cache it is to purge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from errors import Exit, Fault
from release.doctor.check import Warn

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 15)  # seconds to connect, to answer
SOON = timedelta(days=30)
NEW = "make a new token in Cloudflare's dashboard (My Profile → API Tokens)"


@dataclass(frozen=True, slots=True)
class Api:
    """Cloudflare's API, version 4, with a token.

    Format: answers are {"success": …, "result": …, "errors": [{"code": …, "message": …}]}.
    """

    url: str
    token: str
    session: requests.Session

    def get(self, path: str) -> tuple[int, Any, str]:
        """Ask once: HTTP status, the result (None without success), what the errors say."""
        import requests

        try:
            answer = self.session.get(
                f"{self.url.rstrip('/')}{path}",
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _unreachable(self.url, type(error).__name__) from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _unreachable(self.url, f"it answered {answer.status_code}")
        try:
            said = answer.json()
            errors = "; ".join(f"{one['code']} {one['message']}" for one in said.get("errors") or ())
            return answer.status_code, said.get("result") if said.get("success") is True else None, errors
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreachable(self.url, f"its answer ({answer.status_code}) is not its JSON") from error


def token(api: Api, now: datetime, account: str = "") -> str | Warn:
    """Let Cloudflare verify the token, as a user's and, with the `account` known, as that account's own.

    Raises Fault SECRET if it is not active, NETWORK.
    """
    status, found, errors = api.get("/user/tokens/verify")
    if found is None and account:
        status, found, errors = api.get(f"/accounts/{account}/tokens/verify")
    if found is None:
        raise Fault(f"the token is not accepted ({status}): {errors}", cure=NEW, status=Exit.SECRET)
    if found.get("status") != "active":
        raise Fault(f"the token is {found.get('status')}", cure=NEW, status=Exit.SECRET)
    expires = found.get("expires_on")
    if not expires:
        return "active"
    until = datetime.fromisoformat(expires)
    said = f"active until {until:%Y-%m-%d}"
    return Warn(said, NEW) if until - now < SOON else said


def zone(api: Api, id: str, site: str) -> str | Warn:
    """Look whether the token sees the zone, and whether the site is in it. Raises Fault SECRET, CONFIG."""
    status, found, errors = api.get(f"/zones/{id}")
    if status == 403:  # purging needs another permission than looking
        return Warn(
            f"the token may not look at the zone: {errors}",
            "whether it may purge shows in a release; Zone / Zone Read lets it be told before",
        )
    if found is None:
        cure = "check publish.purge_zone, and that the token has Zone / Cache Purge on it"
        raise Fault(
            f"there is no such zone for this token ({status}): {errors}", cure=cure, status=Exit.SECRET
        )
    name, host = str(found.get("name", "")), urlsplit(site).hostname or ""
    if host != name and not host.endswith(f".{name}"):
        raise Fault(
            f"the zone is {name}, the site {host} is not in it",
            cure="set publish.purge_zone to the id of the site's zone",
            status=Exit.CONFIG,
        )
    return f"{name}, {found.get('status', 'active')}"


def _unreachable(where: str, why: str) -> Fault:
    return Fault(f"Cloudflare's API: {why}", where=where, cure="try again later", status=Exit.NETWORK)
