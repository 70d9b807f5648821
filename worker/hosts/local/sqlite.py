"""SQLite as the database: one connection, used in threads one after the other, as a small site needs it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from worker.ports import Unavailable

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"
TABLE: Final = "d1_migrations"  # wrangler's own bookkeeping, so that both tools agree on what was applied
BUSY: Final = 5.0  # seconds to wait for another process


class Sqlite:
    """A database in a file, or in memory for ":memory:"."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=BUSY, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA foreign_keys = ON")
        if path != ":memory:":
            self._connection.execute("PRAGMA journal_mode = WAL")

    async def rows(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        """See Database."""
        return await asyncio.to_thread(self._rows, sql, values)

    async def write(self, *statements: tuple[str, Sequence[object]]) -> int:
        """See Database."""
        return await asyncio.to_thread(self._write, statements)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def migrate(self, folder: Path = MIGRATIONS) -> list[str]:
        """Apply what is new in a folder of numbered .sql files, each in a transaction; give their names."""
        with self._lock:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY AUTOINCREMENT, "
                "name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)"
            )
            query = f"SELECT name FROM {TABLE}"  # noqa: S608 - a constant
            done = {row["name"] for row in self._connection.execute(query)}
            new = [path for path in sorted(folder.glob("*.sql")) if path.name not in done]
            for path in new:
                self._apply(path)
            return [path.name for path in new]

    def _apply(self, path: Path) -> None:
        name = path.name.replace("'", "''")
        record = f"INSERT INTO {TABLE} (name) VALUES ('{name}');"  # noqa: S608 - a file's name, quoted
        try:
            self._connection.executescript(f"BEGIN;\n{path.read_text('utf-8')}\n{record}\nCOMMIT;")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise Unavailable(f"{path.name} cannot be applied: {error}") from error

    def _rows(self, sql: str, values: Sequence[object]) -> list[dict[str, Any]]:
        with self._lock:
            try:
                return [dict(row) for row in self._connection.execute(sql, values)]
            except sqlite3.Error as error:
                raise Unavailable(f"database: {error}") from error

    def _write(self, statements: Sequence[tuple[str, Sequence[object]]]) -> int:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                changed = [self._connection.execute(sql, values).rowcount for sql, values in statements]
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise Unavailable(f"database: {error}") from error
        return changed[-1]
