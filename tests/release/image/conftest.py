from __future__ import annotations

import plistlib
import random
from pathlib import Path

import pytest

from release.bundle.icon import icns
from release.image.background import write_tiff
from release.image.plan import BACKGROUND, ImagePlan
from tests.release.image.trees import EPOCH, make

ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><circle r="2" fill="#c00"/></svg>'

CODE = b"".join(
    random.Random(1).randbytes(40) + bytes(60) for _ in range(15_000)
)  # packs about as a program does


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle small enough to be packed many times, with the awkward parts of a real one."""
    root = tmp_path_factory.mktemp("bundle") / "Little App.app"
    make(
        root,
        {
            "Contents": {
                "Info.plist": plistlib.dumps({"CFBundleIconFile": "icon", "CFBundleName": "Little App"}),
                "MacOS": {"Little App": b"#!" + CODE},
                "Frameworks": {
                    "F.framework": {
                        "Versions": {"A": {"F": CODE[:1_000_000], "Resources": {}}, "Current": "A"},
                        "F": "Versions/Current/F",
                    }
                },
                "Resources": {"empty": b"", "zeros": bytes(3_500_000), "Grüße.txt": b"hello"},
            }
        },
    )
    svg = root.parent / "icon.svg"
    svg.write_text(ICON, "utf-8")
    icns(svg, root / "Contents/Resources/icon.icns")
    return root


@pytest.fixture(scope="session")
def plan(app: Path, tmp_path_factory: pytest.TempPathFactory) -> ImagePlan:
    """A plan whose background is drawn already, as drawing it is what takes longest."""
    picture = tmp_path_factory.mktemp("picture") / "background.tiff"
    write_tiff(BACKGROUND, picture)
    return ImagePlan("Little App", app, picture, app / "Contents/Resources/icon.icns", EPOCH)
