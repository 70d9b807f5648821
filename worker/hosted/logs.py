"""A row in the database for each request: of which model, at what cost. Never what was said, nor for ever."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Final

from app.server.visits import Visit
from worker.hosted.accounts import stamp
from worker.hosted.auth import Caller
from worker.hosts.settings import number
from worker.limits import is_time_to_clear
from worker.ports import Ports, Unavailable

_ADD: Final = """
INSERT INTO request_logs (id, account_id, api_key_id, endpoint, model, status, prompt_tokens,
  completion_tokens, latency_ms, error_code, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# Bounded, so that no request waits for long, and still more than come between two such times.
_FORGET: Final = """
DELETE FROM request_logs WHERE rowid IN (
  SELECT rowid FROM request_logs WHERE created_at < ? ORDER BY created_at LIMIT 1000)
"""
DAYS: Final = 90  # that a row is kept, unless HOSTED_LOG_DAYS says otherwise

_log: Final = logging.getLogger("worker.hosted")


async def log(ports: Ports, who: Caller, visit: Visit) -> None:
    """Keep one row, and now and then remove what is too old.

    A database that is down is no reason to fail an answer that was given.
    """
    if ports.database is None:
        return
    notes = visit.notes
    row = (
        f"req_{uuid.uuid4()}",
        who.account,
        who.token,
        visit.path,
        notes.get("model"),
        visit.status,
        notes.get("tokens_in"),
        notes.get("tokens_out"),
        round((time.time() - visit.at) * 1000),
        notes.get("error"),
        stamp(ports),
    )
    statements: list[tuple[str, Sequence[object]]] = [(_ADD, row)]
    if is_time_to_clear(ports.clock.now()):
        kept = number(ports.settings, "HOSTED_LOG_DAYS", DAYS) * 86_400
        statements.append((_FORGET, (stamp(ports, ago=kept),)))
    try:
        await ports.database.write(*statements)
    except Unavailable as error:
        _log.warning("a request was not logged: %s", error)
