"""Notarization tickets: their names, and where Apple hands them out.

A ticket is looked up by the code directory hash of what it vouches for, in a public CloudKit database that
lags behind the notary's verdict. "No ticket yet" (TICKET) and "nobody answered" (NETWORK) are two things.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

import requests

from errors import Exit, Fault
from signing.clock import Clock, SystemClock
from signing.web import Call, Web

APPLE = (
    "https://api.apple-cloudkit.com/database/1/com.apple.gk.ticket-delivery/production/public/records/lookup"
)
LAG = (30.0, 60.0, 90.0, 120.0)  # seconds between look-ups; CloudKit needs up to some minutes


class TicketFault(Fault):
    """There is no ticket, or none that can be used."""

    status = Exit.TICKET


def record_name(cdhash: str, hash_type: int) -> str:
    """Return the record of the code with this hash: "2/<hash type>/<cdhash, 40 hex digits>".

    `hash_type` is the code directory's own (1 SHA-1, 2 SHA-256); longer hashes are cut to 20 bytes.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{40,128}", cdhash):
        raise TicketFault(f"{cdhash!r} is not a code directory hash", cure="sign before stapling")
    return f"2/{hash_type}/{cdhash[:40].lower()}"


def fetch_ticket(
    lookup_url: str,
    record: str,
    *,
    session: requests.Session | None = None,
    clock: Clock | None = None,
    lag: Sequence[float] = LAG,
    on_wait: Callable[[float], None] | None = None,
    web: Web | None = None,
) -> bytes:
    """Return the ticket of a record; wait out the database's lag with the pauses `lag` (seconds).

    Faults: TICKET if there is still none after the last pause or the answer is not a ticket, NETWORK.
    """
    clock = clock or SystemClock()
    web = web or Web(session or requests.Session(), clock)
    for pause in (*lag, None):
        found = lookup(lookup_url, record, web=web)
        if found is not None:
            return found
        if pause is not None:
            if on_wait:
                on_wait(pause)
            clock.sleep(pause)
    raise TicketFault(
        f"there is no ticket yet for {record} after {sum(lag):g} s",
        where=lookup_url,
        cure="the notary accepted it, the ticket is on its way: run ./invoke notarize.resume in some minutes",
    )


def lookup(lookup_url: str, record: str, *, web: Web) -> bytes | None:
    """Ask once: the ticket, or None if the database has none. Faults: TICKET for a bad answer, NETWORK."""
    body = {"records": [{"recordName": record}]}
    response = web.send(Call("POST", lookup_url, lambda: {"json": body}))
    if response.status_code == 404:
        return None
    try:
        answer = response.json()["records"][0]
        if not response.ok:
            raise KeyError(response.status_code)
        return _ticket(answer)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise TicketFault(
            f"the ticket database answered with something else than a record (HTTP {response.status_code})",
            where=lookup_url,
            details=(response.text[:200],),
            cure="try again later; a proxy on the way may have answered in its place",
        ) from error


def _ticket(answer: dict[str, Any]) -> bytes | None:
    if answer.get("serverErrorCode") == "NOT_FOUND":
        return None
    if "serverErrorCode" in answer:
        raise KeyError(answer["serverErrorCode"])
    try:
        return base64.b64decode(answer["fields"]["signedTicket"]["value"], validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
