"""POST /api/signup: a Cursor key is checked and kept, encrypted, and a token of ours takes its place."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker import early_access, limits
from worker.bodies import json_object, text
from worker.hosted import accounts, cursor_api
from worker.hosted.accounts import Person
from worker.hosted.vault import TOKEN, account_id, seal
from worker.replies import Refusal, answer, problem
from worker.requests import client_of, ports_of, respond, site_of


async def signup(request: Request) -> Response:
    """Answer `{cursorApiKey, name?, email?, joinWaitlist?}` with the account, a token and its endpoints."""
    ports = ports_of(request)
    await limits.require(ports, f"signup:{client_of(request)}", most=10, seconds=3600)
    body = await json_object(request)
    key = text(body, "cursorApiKey", most=512)
    if key.startswith(TOKEN) or not key.isascii():
        message = "This is not a Cursor API key"
        raise Refusal(problem(400, message, "invalid_request_error", param="cursorApiKey"))
    person = await _person(request, body, key)
    sealed = await seal(ports, key)
    token = await accounts.enter(ports, person, sealed)
    if person.waitlist and person.email:
        await _join(request, person)
    return respond(answer(_answer(request, person, sealed.hint, token)))


async def _person(request: Request, body: dict[str, Any], key: str) -> Person:
    name, email = (text(body, field, most=254, required=False) for field in ("name", "email"))
    found = await cursor_api.me(ports_of(request), key)
    address, called = found.email or email or None, found.name or name or None
    account = account_id(found.user_id, found.email, key)
    return Person(account, found.user_id, address, called, body.get("joinWaitlist") is True)


async def _join(request: Request, person: Person) -> None:
    """Put the person on the waiting list; that it fails is no reason to refuse the account."""
    try:
        await early_access.register(ports_of(request), person.name or "", person.email or "", "signup")
    except Refusal:
        return


def _answer(request: Request, person: Person, hint: str, token: str) -> dict[str, Any]:
    site = site_of(request)
    return {
        "account": {
            "id": person.account,
            "cursorEmail": person.email,
            "cursorName": person.name,
            "cursorApiKeyHint": hint,
        },
        "apiKey": token,
        "endpoints": {
            "baseUrl": f"{site}/v1",
            "accountBaseUrl": f"{site}/u/{person.account}/v1",
            "chatCompletions": f"{site}/v1/chat/completions",
            "responses": f"{site}/v1/responses",
        },
    }
