"""Cursor's own API, of which one question is asked: whose key is this?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from worker.ports import Ports, Unavailable
from worker.replies import Refusal, problem

BASE: Final = "https://api.cursor.com"


@dataclass(frozen=True, slots=True)
class Me:
    """The owner of a Cursor key, as far as Cursor tells."""

    user_id: str | None
    email: str | None
    name: str | None


async def me(ports: Ports, key: str) -> Me:
    """Ask whose key it is. Raises Refusal: 401 cursor_unauthorized, 429, 502, 400."""
    url = ports.settings.get("CURSOR_API_BASE", BASE).rstrip("/") + "/v1/me"
    try:
        answer = await ports.outbound.send("GET", url, headers={"authorization": f"Bearer {key}"})
    except Unavailable:
        raise Refusal(problem(502, "Cursor does not answer", "cursor_api_error")) from None
    if answer.status != 200:
        raise _refused(answer.status)
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(problem(502, "Cursor's answer cannot be read", "cursor_api_error"))
    return Me(_text(body, "userId"), _text(body, "userEmail"), _name(body))


def _refused(status: int) -> Refusal:
    if status in (401, 403):
        return Refusal(problem(401, "Cursor does not know this API key", "cursor_unauthorized"))
    code = 429 if status == 429 else 502 if status >= 500 else 400
    return Refusal(problem(code, "Cursor refused the request", "cursor_api_error"))


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    return str(value)[:200] if isinstance(value, str | int) and value != "" else None


def _name(body: dict[str, Any]) -> str | None:
    names = [_text(body, "userFirstName"), _text(body, "userLastName")]
    return " ".join(name for name in names if name) or None
