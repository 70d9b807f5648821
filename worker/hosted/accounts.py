"""Accounts and their tokens in the database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from worker.hosted.vault import PREFIX, Sealed, new_token, token_hash
from worker.ports import Database, Ports
from worker.replies import Refusal, not_found, unset

MOST_TOKENS: Final = 10  # that an account may have at a time; the oldest is revoked for one more

_PUT: Final = """
INSERT INTO accounts (id, cursor_user_id, cursor_email, cursor_name, cursor_api_key_ciphertext,
  cursor_api_key_iv, cursor_api_key_hint, waitlist_opt_in, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
ON CONFLICT (id) DO UPDATE SET
  cursor_user_id = excluded.cursor_user_id, cursor_email = excluded.cursor_email,
  cursor_name = excluded.cursor_name, cursor_api_key_ciphertext = excluded.cursor_api_key_ciphertext,
  cursor_api_key_iv = excluded.cursor_api_key_iv, cursor_api_key_hint = excluded.cursor_api_key_hint,
  waitlist_opt_in = max(waitlist_opt_in, excluded.waitlist_opt_in), updated_at = excluded.updated_at
"""
_ADD_KEY: Final = """
INSERT INTO api_keys (id, account_id, prefix, key_hash, name, created_at) VALUES (?, ?, ?, ?, ?, ?)
"""
_BOUND_KEYS: Final = """
UPDATE api_keys SET revoked_at = ?1 WHERE account_id = ?2 AND revoked_at IS NULL AND id NOT IN (
  SELECT id FROM api_keys WHERE account_id = ?2 AND revoked_at IS NULL
  ORDER BY created_at DESC, rowid DESC LIMIT ?3)
"""
_FIND: Final = """
SELECT k.id AS key_id, k.account_id, a.cursor_api_key_ciphertext, a.cursor_api_key_iv
FROM api_keys k JOIN accounts a ON a.id = k.account_id
WHERE k.key_hash = ? AND k.revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is at Cursor."""

    account: str
    user_id: str | None
    email: str | None
    name: str | None
    waitlist: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is, with the Cursor key as it is kept."""

    account: str
    key_id: str
    text: str
    iv: str


def database_of(ports: Ports) -> Database:
    """Give the database. Raises Refusal 503 where none is bound."""
    if ports.database is None:
        raise unset("DB")
    return ports.database


def stamp(ports: Ports, *, ago: float = 0) -> str:
    """Give the time, or what it was so many seconds `ago`, as it is kept: ISO 8601, UTC, milliseconds."""
    moment = datetime.fromtimestamp(max(0, ports.clock.now() - ago), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def enter(ports: Ports, person: Person, sealed: Sealed) -> str:
    """Keep an account with its key, make a token for it, in one transaction; give the token."""
    now, token = stamp(ports), new_token()
    account = (
        person.account,
        person.user_id,
        person.email,
        person.name,
        sealed.text,
        sealed.iv,
        sealed.hint,
        int(person.waitlist),
        now,
    )
    await database_of(ports).write((_PUT, account), *_keys(person.account, token, "default", now))
    return token


async def add_token(ports: Ports, account: str, name: str, replaces: str | None = None) -> str:
    """Make one more token for an account; `replaces` (an id) is revoked in the same moment."""
    now, token = stamp(ports), new_token()
    statements = _keys(account, token, name, now)
    if replaces:
        statements = [*statements, _revocation(account, replaces, now)]
    await database_of(ports).write(*statements)
    return token


def _keys(account: str, token: str, name: str, now: str) -> list[tuple[str, tuple[object, ...]]]:
    row = (f"key_{uuid.uuid4()}", account, token[:PREFIX], token_hash(token), name, now)
    return [(_ADD_KEY, row), (_BOUND_KEYS, (now, account, MOST_TOKENS))]


def _revocation(account: str, key_id: str, now: str) -> tuple[str, tuple[object, ...]]:
    sql = "UPDATE api_keys SET revoked_at = ? WHERE account_id = ? AND id = ? AND revoked_at IS NULL"
    return sql, (now, account, key_id)


async def find(ports: Ports, token: str) -> Holder | None:
    """Tell whose token it is; None if nobody's any more. A token is never looked for anywhere else."""
    rows = await database_of(ports).rows(_FIND, token_hash(token))
    if not rows:
        return None
    row = rows[0]
    return Holder(
        row["account_id"], row["key_id"], row["cursor_api_key_ciphertext"], row["cursor_api_key_iv"]
    )


async def tokens(ports: Ports, account: str) -> list[Mapping[str, Any]]:
    """List an account's tokens that hold, newest first: id, prefix, name, times. Never the tokens."""
    sql = """SELECT id, prefix, name, created_at, last_used_at FROM api_keys
             WHERE account_id = ? AND revoked_at IS NULL ORDER BY created_at DESC, rowid DESC"""
    return list(await database_of(ports).rows(sql, account))


async def revoke(ports: Ports, account: str, key_id: str) -> None:
    """End one token. Raises Refusal 404 if the account has no such token."""
    if not await database_of(ports).write(_revocation(account, key_id, stamp(ports))):
        raise Refusal(not_found())


async def forget(ports: Ports, account: str, owner_hash: str) -> None:
    """Remove an account and everything that is known of it."""
    await database_of(ports).write(
        ("DELETE FROM sdk_sessions WHERE owner_hash = ?", (owner_hash,)),
        ("DELETE FROM request_logs WHERE account_id = ?", (account,)),
        ("DELETE FROM api_keys WHERE account_id = ?", (account,)),
        ("DELETE FROM accounts WHERE id = ?", (account,)),
    )
