"""Crashes at every request of an operation, one after the other; whoever repeats it has to finish the job."""

from __future__ import annotations

from collections.abc import Callable

from tests.standins.public import watch
from tests.standins.store import MemoryStore


class Crash(Exception):
    """The process died here."""


def crash_at(number: int, when: str, store: MemoryStore) -> None:
    """Die `when` ("before" or "after") a store has answered `number` requests more."""
    left = [number]

    def count(method: str, key: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash(f"{when} {method} {key}")

    setattr(store, when, count)


def at_every_request(
    template: MemoryStore,
    when: str,
    operation: Callable[[MemoryStore], object],
    *,
    finished: Callable[[MemoryStore], None],
) -> int:
    """Let an operation die at each of its requests, then run again, watched; return how often it died.

    `finished` asserts what holds afterwards.
    """
    crashes = 0
    while True:
        store = MemoryStore(objects=dict(template.objects))
        crash_at(crashes, when, store)
        try:
            operation(store)
        except Crash:
            crashes += 1
        else:
            return crashes
        watch(store)
        operation(store)
        finished(store)
