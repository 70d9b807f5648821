"""`python -m app desktop`: be the Mac app. The packaged app does it when it is opened."""

from __future__ import annotations

import argparse
import sys

from app.errors import AppError
from app.preferences import FILE, File, Preferences
from app.settings import from_environment


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    desktop = commands.add_parser("desktop", help="the Mac app: menu bar, window, updates; as when opened")
    desktop.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if sys.platform != "darwin":
        raise AppError("the menu bar and the window are for a Mac", cure="use serve")
    settings = from_environment()

    def load() -> Preferences:
        return File(settings.config_dir / FILE).load().preferences if settings.config_dir else Preferences()

    from app.macos.application import run

    run(load)
    return 0
