"""A throwaway identity and a small signed app, made once a test process."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signing.identity import Identity, throwaway
from signing.plan import plan_app
from signing.portable import Portable
from tests.signing import machos

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return throwaway(tmp_path_factory.mktemp("identity"), name="Tiny", team_id="TINYTEAM12")


@pytest.fixture(scope="session")
def signer(identity: Identity) -> Portable:
    return Portable(identity, timestamp_url=None, signing_time=MOMENT)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small app, signed. Nobody may change it: see `app`."""
    folder = tmp_path_factory.mktemp("app")
    unsigned = machos.app(folder / "unsigned" / "Tiny.app")
    signer = Portable(
        throwaway(folder / "identity", name="Tiny", team_id="TINYTEAM12"),
        timestamp_url=None,
        signing_time=MOMENT,
    )
    signer.sign_app(plan_app(unsigned), unsigned, folder / "Tiny.app")
    return folder / "Tiny.app"


@pytest.fixture
def app(original: Path, tmp_path: Path) -> Path:
    """A copy of the small signed app, to do anything to."""
    return Path(shutil.copytree(original, tmp_path / "Tiny.app", symlinks=True))


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return machos.app(tmp_path / "Tiny.app")
