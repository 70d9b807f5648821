"""POST /api/early-access: puts somebody on the waiting list, which another service keeps."""

from __future__ import annotations

import json
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from worker import limits
from worker.bodies import form, json_object, text
from worker.ports import Ports, Unavailable
from worker.replies import Refusal, Reply, answer, problem, unset
from worker.requests import client_of, ports_of, respond

# One @, something before it, a dotted name behind it; only a message that arrives proves more.
ADDRESS: Final = re.compile(r"[^@\s\"<>()\[\],;:\\]+@[^@\s]+\.[^@\s.]{2,}")
SOURCE: Final = "api-for-cursor"


async def early_access(request: Request) -> Response:
    """Answer `{name, email}` with `{"ok": true}`, or 400, 429, 502; a page's form with that page."""
    ports = ports_of(request)
    fields = await form(request)
    body = await json_object(request) if fields is None else fields
    name, email = text(body, "name", most=200), text(body, "email", most=254)
    if not ADDRESS.fullmatch(email):
        message = "email is not an address"
        raise Refusal(problem(400, message, "invalid_request_error", param="email"))
    await limits.require(ports, f"early-access:{client_of(request)}", most=5, seconds=3600)
    await register(ports, name, email, SOURCE)
    if fields is not None:
        return respond(Reply(303, {"location": "/?joined=1#early"}))
    return respond(answer({"ok": True}))


async def register(ports: Ports, name: str, email: str, source: str) -> None:
    """Put somebody on the list. Raises Refusal 502 if it does not take them."""
    url, token = ports.settings.get("WAITLIST_URL"), ports.settings.get("WAITLIST_API_TOKEN")
    if not url:
        raise unset("WAITLIST_URL")
    headers = {"content-type": "application/json", "accept": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps({"name": name, "email": email, "source": source}).encode()
    try:
        status = (await ports.outbound.send("POST", url, headers=headers, body=data)).status
    except Unavailable:
        status = 0
    if not 200 <= status < 300:
        raise Refusal(problem(502, "The waiting list did not take it; try again later", "waitlist_failed"))
