from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from release.doctor import Diagnosis, doctor
from tests.release.doctor.world import World, settle
from tests.release.doctor.world import world as served


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with served(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def world(_served: World) -> World:
    return settle(_served)


@pytest.fixture
def diagnose(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Diagnosis]:
    """Make every check on the world as it is by then."""

    def run(build: str = "9", *, taken: bool = False) -> Diagnosis:
        for name, value in world.environ.items():
            monkeypatch.setenv(name, value)
        with world.case(build, taken=taken) as case:
            return doctor(case)

    return run
