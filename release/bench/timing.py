"""Seconds spent, on the clock and of this process's CPU: the best of a few rounds, taken in turn."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock and of this process's CPU."""

    wall: float
    cpu: float


def compare(*works: Callable[[], object], rounds: int = ROUNDS) -> list[Spent]:
    """Run all in turn, `rounds` times; return the best of each, on the clock and in CPU."""
    table = [[_spent(work) for work in works] for _ in range(rounds)]
    return [_best(list(column)) for column in zip(*table, strict=True)]


def _best(rounds: list[Spent]) -> Spent:
    return Spent(min(spent.wall for spent in rounds), min(spent.cpu for spent in rounds))


def _spent(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Spent(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
