"""htmx, the script of the app's pages, as its makers publish it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.pins import Pins, find

if TYPE_CHECKING:
    from release.inputs.cache import Cache

NAME: Final = "htmx.min.js"


def htmx(cache: Cache, pins: Pins, *, runner: Runner) -> Path:
    """Give htmx as one minified file."""
    pin = find(pins, "htmx")
    path = cache.tree(pin, runner=runner) / "package/dist" / NAME
    if not path.is_file():
        raise Fault(
            f"{pin.title} holds no {NAME}",
            where=pin.package,
            cure="correct the pin htmx in release.toml",
            status=Exit.INPUT_MISSING,
        )
    return path
