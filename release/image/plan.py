"""What the disk image is to look like, as data: the one source for hdiutil's path and for ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from release.image.faults import ImageFault

Format = Literal["UDZO", "ULFO", "ULMO"]

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "dmg"
BACKGROUND = ASSETS / "background.svg"

APPLICATIONS = "Applications"
BACKGROUND_NAME = ".background.tiff"
VOLUME_ICON_NAME = ".VolumeIcon.icns"

WINDOW_ORIGIN = (240, 160)
ICON_ROW = 224  # points from the top of the window's content to the icons' centres
ICON_INSET = 190  # points from the window's side to an icon's centre
HIDDEN_ROW = 620  # where files hidden by default lie, for people who have made them visible
TEXT_SIZE = 13

MAX_VOLUME_NAME = 27  # longer ones are cut in the background picture's alias (its name field has 28 bytes)


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """A disk image to be: what it holds and how its window looks.

    `background` is an .svg (drawn for the window at 1x and 2x), or a picture taken as it is. `icon` is the
    volume's .icns. `window` is the window's frame in points, its title bar included, as Finder counts it.
    `created` (seconds since 1970, UTC) dates the volume and everything in it.
    """

    volume_name: str
    app: Path
    background: Path
    icon: Path
    created: int
    format: Format = "ULFO"
    window: tuple[int, int] = (720, 432)
    icon_size: int = 96


def icon_locations(plan: ImagePlan) -> dict[str, tuple[int, int]]:
    """Centres of the icons in points from the top left of the content: the app left, the link right.

    Hidden files get places below the window's edge, so that they don't cover the picture for those who have
    Finder show them.
    """
    width, _ = plan.window
    hidden = (BACKGROUND_NAME, VOLUME_ICON_NAME, ".DS_Store", ".fseventsd", ".Trashes")
    step = width // (len(hidden) + 1)
    return {
        plan.app.name: (ICON_INSET, ICON_ROW),
        APPLICATIONS: (width - ICON_INSET, ICON_ROW),
        **{name: (step * (i + 1), HIDDEN_ROW) for i, name in enumerate(hidden)},
    }


def settings(plan: ImagePlan) -> dict[str, Any]:
    """dmgbuild's settings for `plan`; the same on every platform.

    The app's extension is not hidden through dmgbuild: that would put Finder information on the bundle, which
    a strict check of its signature refuses. Finder hides ".app" by itself.
    """
    return {
        "format": plan.format,
        "filesystem": "HFS+",
        "files": [str(plan.app)],
        "symlinks": {APPLICATIONS: "/Applications"},
        "icon": str(plan.icon),
        "background": str(plan.background),
        "window_rect": (WINDOW_ORIGIN, plan.window),
        "default_view": "icon-view",
        "show_status_bar": False,
        "show_tab_view": False,
        "show_toolbar": False,
        "show_pathbar": False,
        "show_sidebar": False,
        "arrange_by": None,
        "icon_size": plan.icon_size,
        "text_size": TEXT_SIZE,
        "label_pos": "bottom",
        "icon_locations": icon_locations(plan),
    }


def checked(plan: ImagePlan) -> ImagePlan:
    """`plan`, if an image can be made of it; otherwise a fault that names what is amiss."""
    if not 0 < len(plan.volume_name.encode("mac_roman", "replace")) <= MAX_VOLUME_NAME:
        raise ImageFault(
            f"a volume name has 1 to {MAX_VOLUME_NAME} characters, not {len(plan.volume_name)}",
            where=plan.volume_name,
            cure="shorten the app's name in release.toml",
        )
    if not plan.app.is_dir():
        raise ImageFault("there is no app to put into the image", where=plan.app, cure="build the app first")
    for role, file in (("background picture", plan.background), ("volume icon", plan.icon)):
        if not file.is_file():
            raise ImageFault(f"the image's {role} is missing", where=file)
    return plan
