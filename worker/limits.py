"""How often somebody may do something: counters in the database, in windows of a fixed length."""

from __future__ import annotations

import hashlib

from worker.ports import Ports
from worker.replies import Refusal, problem

COUNT = """
INSERT INTO rate_limits (id, since, count) VALUES (?1, ?2, 1)
ON CONFLICT (id) DO UPDATE SET
  count = CASE WHEN since = excluded.since THEN count + 1 ELSE 1 END,
  since = excluded.since
RETURNING count
"""
FORGET = "DELETE FROM rate_limits WHERE since < ?"
ONE_IN = 100  # seconds: requests of one of them remove what is old, which is often enough and costs little


def is_time_to_clear(now: float) -> bool:
    """Whether whoever comes `now` (epoch seconds) removes what is old."""
    return int(now) % ONE_IN == 0


async def require(ports: Ports, what: str, *, most: int, seconds: int) -> None:
    """Count one more of `what`; raises Refusal 429 beyond `most` in a window. Without a database: no limit.

    `what` may name an address: only its hash is kept.
    """
    if ports.database is None:
        return
    now = int(ports.clock.now())
    window = now - now % seconds
    name = hashlib.sha256(f"{seconds}:{what}".encode()).hexdigest()[:32]
    rows = await ports.database.rows(COUNT, name, window)
    count = int(rows[0]["count"]) if rows else 1
    if count == 1 and is_time_to_clear(now):
        await ports.database.write((FORGET, (now - 86_400,)))
    if count > most:
        wait = str(window + seconds - now)
        message = "Too many requests; try again later"
        raise Refusal(problem(429, message, "rate_limit_exceeded", retry_after=wait))
