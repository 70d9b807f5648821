"""`./invoke pictures`: what the docs show, drawn from the last release itself."""

from __future__ import annotations

from pathlib import Path

from errors import Exit, Fault
from release.image.window import render_window

WINDOW = Path("docs/images/dmg-window.png")


def draw(root: Path) -> list[Path]:
    """Draw every picture; give their paths, relative to the checkout. Fault IMAGE if there is no release."""
    images = sorted((root / "dist" / "current").glob("*.dmg"))
    if not images:
        raise Fault("there is no finished release to draw", cure="./invoke release first", status=Exit.IMAGE)
    (root / WINDOW).parent.mkdir(parents=True, exist_ok=True)
    render_window(images[0], root / WINDOW)
    return [WINDOW]
