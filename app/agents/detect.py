"""Whether an agent is on this machine, and what shows it."""

from __future__ import annotations

from pathlib import Path

from app.agents.home import Home
from app.agents.model import Signs

_EXTENSIONS = (".vscode", ".vscode-insiders", ".vscode-oss", ".cursor", ".windsurf")


def sign(signs: Signs, home: Home) -> str | None:
    """Give what shows that an agent is here, for people, or None."""
    place = home.program(signs.programs) or home.application(signs.applications)
    if place is None:
        place = next((folder for folder in signs.folders if folder.exists()), None)
    if place is None:
        place = next((found for name in signs.extensions for found in _extension(name, home)), None)
    return None if place is None else str(place)


def _extension(name: str, home: Home) -> list[Path]:
    """Find an extension of VS Code or its kin, whose folders are named publisher.name-version."""
    folders = (home.path / product / "extensions" for product in _EXTENSIONS)
    return [found for folder in folders for found in sorted(folder.glob(f"{name}-*"))]
