"""`./invoke bench`: figures, as ratios in one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure beside its target; `ok` is None where there is no target."""

    name: str
    value: float
    unit: str
    target: str
    ok: bool | None
