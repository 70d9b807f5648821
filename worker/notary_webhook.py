"""POST /api/notary/webhook/{token}: Apple has judged an image; GitHub is told to finish the release.

Apple's notary calls the address that was given with the submission. The release tool puts into its query what
the finalizer needs; nothing of Apple's own message is believed beyond being JSON, as the finalizer asks Apple
itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from worker.bodies import SMALL, read
from worker.ports import Unavailable
from worker.replies import Refusal, answer, not_found, problem, unset
from worker.requests import ports_of, respond

EVENT: Final = "apple-notary-complete"
REPOSITORY: Final = "standardagents/composer-api"
API: Final = "https://api.github.com"
# What may stand in each part of the payload, which becomes part of a workflow's input.
FIELDS: Final[Mapping[str, re.Pattern[str]]] = {
    "version": re.compile(r"[0-9]+(\.[0-9]+){0,3}([-+][0-9A-Za-z.-]{1,40})?"),
    "build": re.compile(r"[0-9]+(\.[0-9]+){0,3}"),
    "run_id": re.compile(r"[0-9]{1,20}"),
    "artifact": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}"),
    "dmg": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.dmg"),
    "ref": re.compile(r"(refs/(heads|tags)/)?[A-Za-z0-9][A-Za-z0-9._/-]{0,100}"),
}
REQUIRED: Final = ("version", "build")


async def notary_webhook(request: Request) -> Response:
    """Answer `{"dispatched": true}`; 404 for a wrong token, 400, 502, 503."""
    settings = ports_of(request).settings
    expected = settings.get("NOTARY_WEBHOOK_TOKEN", "")
    given = request.path_params["token"]
    if not expected or not _same(given, expected):
        raise Refusal(not_found())
    await _require_json(request)
    payload = _payload(request.query_params)
    if not settings.get("GITHUB_RELEASE_DISPATCH_TOKEN"):
        raise unset("GITHUB_RELEASE_DISPATCH_TOKEN")
    await _dispatch(request, payload)
    return respond(answer({"dispatched": True}, 202))


def _same(given: str, expected: str) -> bool:
    """Compare without telling, by the time it takes, how much is right or how long it is."""
    digests = [hashlib.sha256(text.encode()).digest() for text in (given, expected)]
    return hmac.compare_digest(*digests)


async def _require_json(request: Request) -> None:
    body = await read(request, SMALL)
    try:
        json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(problem(400, "The body is not JSON", "invalid_request_error")) from None


def _payload(query: Mapping[str, str]) -> dict[str, str]:
    payload = {name: query[name] for name in FIELDS if query.get(name)}
    wrong = [name for name, value in payload.items() if not FIELDS[name].fullmatch(value) or ".." in value]
    missing = [name for name in REQUIRED if name not in payload]
    for name in (*wrong, *missing):
        raise Refusal(problem(400, f"{name} is not usable", "invalid_request_error", param=name))
    return payload


async def _dispatch(request: Request, payload: dict[str, str]) -> None:
    ports = ports_of(request)
    repository = ports.settings.get("GITHUB_REPOSITORY", REPOSITORY)
    api = ports.settings.get("GITHUB_API_URL", API)
    headers = {
        "authorization": f"Bearer {ports.settings['GITHUB_RELEASE_DISPATCH_TOKEN']}",
        "accept": "application/vnd.github+json",
        "content-type": "application/json",
        "user-agent": "api-for-cursor",
        "x-github-api-version": "2022-11-28",
    }
    body = json.dumps({"event_type": EVENT, "client_payload": payload}).encode()
    url = f"{api}/repos/{repository}/dispatches"
    try:
        status = (await ports.outbound.send("POST", url, headers=headers, body=body)).status
    except Unavailable:
        status = 0
    if not 200 <= status < 300:
        raise Refusal(problem(502, "GitHub did not take the event", "dispatch_failed"))
