"""The newest responses, kept in memory so that a conversation can go on by `previous_response_id`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from app.cursor.conversation import Turn
from app.openai.errors import no_such_response

MOST = 512
MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """A response and what it takes to go on from it.

    `turns` is the whole conversation without instructions, `session` the key of its agent, `size` about how
    many bytes it holds; turns shared with earlier responses count in each.
    """

    id: str
    body: dict[str, Any]
    items: tuple[dict[str, Any], ...]
    turns: tuple[Turn, ...]
    session: str
    size: int


class Responses:
    """Keeps as many of the newest as fit in number and bytes; the newest one is always kept."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.most = most
        self.most_bytes = most_bytes
        self.size = 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, kept: Kept) -> None:
        """Keep one more, and drop the oldest for it."""
        self._kept[kept.id] = kept
        self.size += kept.size
        while len(self._kept) > self.most or (self.size > self.most_bytes and len(self._kept) > 1):
            _, dropped = self._kept.popitem(last=False)
            self.size -= dropped.size

    def get(self, id: str, param: str | None = None) -> Kept:
        """Give one, or refuse: 404; `param` names the field that asked for it."""
        found = self._kept.get(id)
        if found is None:
            raise no_such_response(id, param)
        return found

    def delete(self, id: str) -> None:
        """Forget one, or refuse: 404. Those that went on from it stay."""
        self.size -= self.get(id).size
        del self._kept[id]
