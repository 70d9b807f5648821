"""Runs the benchmarks and prints their figures beside their targets."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from errors import Exit, Fault
from release.bench import Figure
from release.files import write_json

if TYPE_CHECKING:
    from rich.console import Console

MODULES = ("pipeline", "image", "signing", "publish", "appcast", "server", "app", "site")


def run(root: Path, console: Console, only: str = "") -> None:
    """Measure, print a table, keep `dist/bench.json`. A missed target is shown, not raised."""
    if only and only not in MODULES:
        raise Fault(
            f"there is no benchmark {only!r}", cure=f"one of: {', '.join(MODULES)}", status=Exit.USAGE
        )
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("figure", "value", "target", ""):
        table.add_column(column)
    figures: list[Figure] = []
    for name in [only] if only else MODULES:
        console.print(f"measuring {name} …", style="dim", highlight=False)
        for figure in importlib.import_module(f"release.bench.{name}").bench():
            figures.append(figure)
            mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}[figure.ok]
            table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", figure.target, mark)
    console.print(table)
    rows = [
        {"name": one.name, "value": one.value, "unit": one.unit, "target": one.target, "ok": one.ok}
        for one in figures
    ]
    write_json(root / "dist" / "bench.json", rows)
