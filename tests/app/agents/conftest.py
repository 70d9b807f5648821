from collections.abc import Callable
from pathlib import Path

import pytest

from app.agents.home import Home
from app.agents.model import Target
from app.agents.service import Service

URL = "http://127.0.0.1:8787/v1"
OTHER = "http://127.0.0.1:9999/v1"


def on(home: Path, platform: str = "linux", url: str = URL, **env: str) -> Service:
    """Agent Setup in a home of its own, in which nothing of this machine is found."""
    given = {"HOME": str(home), "PATH": "", "API_FOR_CURSOR_DATA_DIR": str(home.parent / "data"), **env}
    return Service(Home(given, platform, root=home / "nowhere"), Target(url), clock=lambda: 1_800_000_000.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def setup(home: Path) -> Service:
    return on(home)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


Write = Callable[[str, str], Path]


@pytest.fixture
def write(home: Path) -> Write:
    def put(name: str, text: str) -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return put
