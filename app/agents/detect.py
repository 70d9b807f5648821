"""Whether an agent is on this machine, and what shows it."""

from __future__ import annotations

from app.agents.editors import EDITORS
from app.agents.home import Home
from app.agents.model import Signs


def sign(signs: Signs, home: Home) -> str | None:
    """Give what shows that an agent is here, for people, or None."""
    place = home.program(signs.programs) or home.application(signs.applications)
    if place is None:
        place = next((folder for folder in signs.folders if folder.exists()), None)
    if place is None:
        installed = (editor.versions(home, name) for name in signs.extensions for editor in EDITORS)
        place = next((found for versions in installed for found in versions), None)
    return None if place is None else str(place)
