"""Who asks: a token of ours, or a Cursor key that comes along with the request."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from worker.hosted import accounts
from worker.hosted.vault import TOKEN, unseal
from worker.ports import Ports
from worker.replies import Refusal, problem
from worker.requests import ports_of

CURSOR_KEY: Final = re.compile(r"[!-~]{8,512}")  # whether it is one, Cursor knows


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, and the Cursor key that answers. `account` and `token` are None for a raw Cursor key."""

    cursor_key: str
    account: str | None = None
    token: str | None = None

    @property
    def owner(self) -> str:
        """What conversations, limits and logs belong to; the key cannot be told from it."""
        return owner_of(self.account, self.cursor_key)

    def __repr__(self) -> str:
        return f"Caller(account={self.account})"


def owner_of(account: str | None, cursor_key: str) -> str:
    """Give the owner's hash, hex."""
    return hashlib.sha256((account or f"cursor-key:{cursor_key}").encode()).hexdigest()


def given(request: Request) -> str:
    """Give the credential of a request: Authorization, then x-api-key; "" if there is none."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    bearer = value.strip() if scheme.lower() == "bearer" else ""
    return bearer or request.headers.get("x-api-key", "").strip()


async def holder(request: Request) -> accounts.Holder:
    """Give whose token came along. Raises Refusal 401, or 403 at the endpoints of another account."""
    token = given(request)
    found = await accounts.find(ports_of(request), token) if token.startswith(TOKEN) else None
    if found is None:
        raise unauthorized()
    if request.path_params.get("account", found.account) != found.account:
        message = "API key does not belong to this account endpoint"
        raise Refusal(problem(403, message, "forbidden"))
    return found


async def caller(request: Request) -> Caller:
    """Tell who asks. A token is looked up here and goes nowhere else; Cursor keys work on /v1 only."""
    credential = given(request)
    if credential.startswith(TOKEN) or "account" in request.path_params:
        found = await holder(request)
        return Caller(await unseal(ports_of(request), found.text, found.iv), found.account, found.key_id)
    if not CURSOR_KEY.fullmatch(credential):
        raise unauthorized()
    return Caller(credential)


async def touch(ports: Ports, who: Caller) -> None:
    """Note when a token was last used."""
    if who.token:
        sql = "UPDATE api_keys SET last_used_at = ? WHERE id = ?"
        await accounts.database_of(ports).write((sql, (accounts.stamp(ports), who.token)))


def unauthorized() -> Refusal:
    """No key, an unknown one, or one that was revoked: nobody learns which."""
    return Refusal(problem(401, "Missing or invalid API key", "unauthorized", www_authenticate="Bearer"))
