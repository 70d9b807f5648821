"""What people can do with their account: see their tokens, make, replace and revoke them, leave.

GET    /api/account              the account and its tokens
DELETE /api/account              everything that is kept of it is removed
POST   /api/account/keys         {name?} one more token
POST   /api/account/keys/rotate  a new token in place of the one that asks
DELETE /api/account/keys/{id}    a token ends
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from worker import limits
from worker.bodies import json_object, text
from worker.hosted import accounts
from worker.hosted.auth import holder, owner_of
from worker.replies import answer
from worker.requests import ports_of, respond


async def show(request: Request) -> Response:
    """Answer with the account and its tokens, which are told by their beginnings."""
    found = await holder(request)
    ports = ports_of(request)
    sql = "SELECT id, cursor_email, cursor_name, cursor_api_key_hint, created_at FROM accounts WHERE id = ?"
    account = dict((await accounts.database_of(ports).rows(sql, found.account))[0])
    keys = [dict(row) for row in await accounts.tokens(ports, found.account)]
    return respond(answer({"account": account, "keys": keys}))


async def leave(request: Request) -> Response:
    """Remove the account, its keys, its logs."""
    found = await holder(request)
    await accounts.forget(ports_of(request), found.account, owner_of(found.account, ""))
    return respond(answer({"deleted": True, "id": found.account}))


async def add(request: Request) -> Response:
    """Make one more token; this is the only time that it is told."""
    found = await holder(request)
    ports = ports_of(request)
    await limits.require(ports, f"keys:{found.account}", most=20, seconds=3600)
    name = text(await json_object(request), "name", most=60, required=False) or "default"
    return respond(answer({"apiKey": await accounts.add_token(ports, found.account, name)}, 201))


async def rotate(request: Request) -> Response:
    """Put a new token in the place of the one that asks."""
    found = await holder(request)
    ports = ports_of(request)
    await limits.require(ports, f"keys:{found.account}", most=20, seconds=3600)
    token = await accounts.add_token(ports, found.account, "default", replaces=found.key_id)
    return respond(answer({"apiKey": token}, 201))


async def revoke(request: Request) -> Response:
    """End a token of this account."""
    found = await holder(request)
    await accounts.revoke(ports_of(request), found.account, request.path_params["id"])
    return respond(answer({"revoked": True, "id": request.path_params["id"]}))
