"""Which conversation at the bridge belongs to which session of whom, so that any isolate goes on with it."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from worker.hosted.accounts import stamp
from worker.limits import is_time_to_clear
from worker.ports import Ports

LIFE: Final = 6 * 3600  # seconds after its last use

_RESUME: Final = """
INSERT INTO sdk_sessions (id, owner_hash, session_hash, agent_id, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (owner_hash, session_hash) DO UPDATE SET
  agent_id = CASE WHEN updated_at < ?6 THEN excluded.agent_id ELSE agent_id END,
  created_at = CASE WHEN updated_at < ?6 THEN excluded.created_at ELSE created_at END,
  updated_at = excluded.updated_at
RETURNING agent_id
"""
_FORGET: Final = "DELETE FROM sdk_sessions WHERE updated_at < ?"


async def resume(ports: Ports, owner: str, session: str) -> str:
    """Give the bridge's name for a session: the same one for six hours after its last use, then a new one."""
    if ports.database is None:
        return session
    hashed = hashlib.sha256(session.encode()).hexdigest()
    expired = stamp(ports, ago=LIFE)
    values = (str(uuid.uuid4()), owner, hashed, f"agent-{uuid.uuid4()}", stamp(ports), expired)
    rows = await ports.database.rows(_RESUME, *values)
    if is_time_to_clear(ports.clock.now()):
        await ports.database.write((_FORGET, (expired,)))
    return str(rows[0]["agent_id"])
