"""A row in the database for each request: of which model, at what cost. Never what was said."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Final

from app.server.visits import Visit
from worker.hosted.accounts import stamp
from worker.hosted.auth import Caller
from worker.ports import Ports, Unavailable

_ADD: Final = """
INSERT INTO request_logs (id, account_id, api_key_id, endpoint, model, status, prompt_tokens,
  completion_tokens, latency_ms, error_code, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_log: Final = logging.getLogger("worker.hosted")


async def log(ports: Ports, who: Caller, visit: Visit) -> None:
    """Keep one row; a database that is down is no reason to fail an answer that was given."""
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
    try:
        await ports.database.write((_ADD, row))
    except Unavailable as error:
        _log.warning("a request was not logged: %s", error)
