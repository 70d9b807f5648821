"""D1's binding as the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyodide.ffi import JsException

from worker.hosts.cloudflare.convert import js, row
from worker.ports import Unavailable


class D1:
    """A database that is bound to the Worker."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def rows(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        """See Database."""
        try:
            answer = await self._prepared(sql, values).all()
        except JsException as error:
            raise Unavailable("D1 does not answer") from error
        return [row(one) for one in answer.results]

    async def write(self, *statements: tuple[str, Sequence[object]]) -> int:
        """See Database: a batch is a transaction."""
        try:
            answers = await self._binding.batch(
                js([self._prepared(sql, values) for sql, values in statements])
            )
        except JsException as error:
            raise Unavailable("D1 does not answer") from error
        return int(list(answers)[-1].meta.changes)

    def _prepared(self, sql: str, values: Sequence[object]) -> Any:
        return self._binding.prepare(sql).bind(*(js(value) for value in values))
