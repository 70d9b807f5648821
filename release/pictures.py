"""`./invoke pictures`: what the docs show, drawn from the last release, the tasks and the running app."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from PIL import Image

from commands import Runner
from errors import Exit, Fault
from release import terminal
from release.bundle.icon import render
from release.image.window import render_window

FOLDER = Path("docs/images")
WINDOW = FOLDER / "dmg-window.png"
COLUMNS = 112
TYPED = ("release", "doctor", "releases", "verify")  # in this order
NOBODY = {  # whoever draws does not stand in the picture
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "user.name",
    "GIT_CONFIG_VALUE_0": "Maintainer",
    "GIT_CONFIG_KEY_1": "user.email",
    "GIT_CONFIG_VALUE_1": "maintainer@example.test",
}
LANDING = Path("worker/site/assets/assets")  # the landing page shows the status page, too
ICON = Path("release/assets/icon/icon.svg")
FAVICON = Path("worker/site/assets/favicon.ico")  # for browsers that take no SVG, and whoever asks by habit
PORT = 8787  # the app's own
FAVICON_SIZES = (16, 32, 48)  # pixels


def draw(root: Path) -> list[Path]:
    """Draw the disk image's window; gives paths relative to the checkout. Fault IMAGE without a release."""
    images = sorted((root / "dist" / "current").glob("*.dmg"))
    if not images:
        raise Fault("there is no finished release to draw", cure="./invoke release first", status=Exit.IMAGE)
    (root / WINDOW).parent.mkdir(parents=True, exist_ok=True)
    render_window(images[0], root / WINDOW)
    return [WINDOW]


def draw_terminal(root: Path) -> list[Path]:
    """Draw a rehearsal as it goes in a terminal; gives paths relative to the checkout."""
    with tempfile.TemporaryDirectory() as place:
        return [_typed(root, Path(place, "dist"), task) for task in TYPED]


def _typed(root: Path, dist: Path, task: str) -> Path:
    argv = [sys.executable, "-m", "invoke", task, "--dist", str(dist)]
    seen = terminal.record(argv, cwd=root, columns=COLUMNS, environment={**os.environ, **NOBODY})
    for path, name in ((dist.parent, "~/api-for-cursor"), (root, "~/api-for-cursor"), (Path.home(), "~")):
        seen = seen.replace(str(path), name)
    drawn = FOLDER / f"terminal-{task}.svg"
    (root / drawn).write_text(terminal.draw(f"$ ./invoke {task}\n{seen}", f"./invoke {task}", COLUMNS))
    return drawn


def draw_favicon(root: Path) -> Path:
    """Draw the site's icon once more, as an .ico; gives its path relative to the checkout."""
    small, *larger = (Image.open(io.BytesIO(render(root / ICON, size))) for size in FAVICON_SIZES)
    sizes = [(size, size) for size in FAVICON_SIZES]
    larger[-1].save(root / FAVICON, "ICO", sizes=sizes, append_images=[small, *larger[:-1]])
    return FAVICON


def draw_app(root: Path, runner: Runner) -> list[Path]:
    """Draw the app's pages as Chromium shows them; gives paths relative to the checkout.

    Raises Fault, status TOOL, if the app's own port is in use: pictures show the address that users have.
    """
    require_free(PORT)
    runner.run([sys.executable, "-m", "tests.web.pictures", root / FOLDER], cwd=root)
    for theme in ("light", "dark"):
        shutil.copyfile(root / FOLDER / f"app-status-{theme}.png", root / LANDING / f"app-{theme}.png")
    return [path.relative_to(root) for path in sorted((root / FOLDER).glob("app-*.png"))]


def require_free(port: int) -> None:
    """Raise Fault, status TOOL, if something listens on a port of 127.0.0.1."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            raise Fault(
                f"port {port} of this machine is in use, and the pictures show the app on it",
                details=(str(error),),
                cure="end what listens there (an app that runs?), and draw again",
                status=Exit.TOOL,
            ) from error
