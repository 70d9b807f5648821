"""Which conversation at the bridge belongs to which session of whom, so that any isolate goes on with it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Final

from worker.hosted.accounts import stamp
from worker.limits import ONE_IN
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


async def resume(ports: Ports, owner: str, session: str) -> str:
    """Give the bridge's name for a session: the same one for six hours after its last use, then a new one."""
    if ports.database is None:
        return session
    hashed = hashlib.sha256(session.encode()).hexdigest()
    expired = _iso(ports.clock.now() - LIFE)
    values = (str(uuid.uuid4()), owner, hashed, f"agent-{uuid.uuid4()}", stamp(ports), expired)
    rows = await ports.database.rows(_RESUME, *values)
    if int(ports.clock.now()) % ONE_IN == 0:
        await sweep(ports)
    return str(rows[0]["agent_id"])


async def sweep(ports: Ports) -> None:
    """Remove what has expired."""
    if ports.database is not None:
        sql = "DELETE FROM sdk_sessions WHERE updated_at < ?"
        await ports.database.write((sql, (_iso(ports.clock.now() - LIFE),)))


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
