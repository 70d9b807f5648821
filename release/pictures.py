"""`./invoke pictures`: what the docs show, drawn from the last release and from the running app."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release.image.window import render_window

FOLDER = Path("docs/images")
WINDOW = FOLDER / "dmg-window.png"
LANDING = Path("worker/site/assets/assets")  # the landing page shows the status page, too


def draw(root: Path) -> list[Path]:
    """Draw the disk image's window; gives paths relative to the checkout. Fault IMAGE without a release."""
    images = sorted((root / "dist" / "current").glob("*.dmg"))
    if not images:
        raise Fault("there is no finished release to draw", cure="./invoke release first", status=Exit.IMAGE)
    (root / WINDOW).parent.mkdir(parents=True, exist_ok=True)
    render_window(images[0], root / WINDOW)
    return [WINDOW]


def draw_app(root: Path, runner: Runner) -> list[Path]:
    """Draw the app's pages as Chromium shows them; gives paths relative to the checkout."""
    runner.run([sys.executable, "-m", "tests.web.pictures", root / FOLDER], cwd=root)
    for theme in ("light", "dark"):
        shutil.copyfile(root / FOLDER / f"app-status-{theme}.png", root / LANDING / f"app-{theme}.png")
    return [path.relative_to(root) for path in sorted((root / FOLDER).glob("app-*.png"))]
