"""What holds for every agent, in an empty home and in one with configurations of people's."""

import re
from pathlib import Path

import pytest

from app.agents.registry import AGENTS
from app.agents.service import Service
from tests.app.agents.conftest import OTHER, URL, files_of, on
from tests.app.agents.samples import SAMPLES

NAMES = [agent.name for agent in AGENTS]
PLATFORMS = ["linux", "darwin"]
COMMENT = re.compile(rb"(?:#|//|/[*]) mine.*")


def filled(home: Path, platform: str, name: str) -> dict[str, bytes]:
    """Put an agent's sample files into a home."""
    for place, text in SAMPLES[name].items():
        applications = "Library/Application Support" if platform == "darwin" else ".config"
        path = home / place.replace("APPLICATIONS", applications)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return files_of(home)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_home_is_set_up_and_left_as_it_was(home: Path, platform: str, name: str) -> None:
    setup = on(home, platform)
    assert setup.view(name).state == "not found"
    result = setup.install(name)
    assert result.files
    assert all(path.is_file() for path in result.files)
    assert setup.view(name).state == "installed"
    assert setup.install(name).files == ()
    setup.remove(name)
    assert files_of(home) == {}
    assert setup.view(name).state == "not found"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", NAMES)
def test_what_people_wrote_stays_and_comes_back(home: Path, platform: str, name: str) -> None:
    before = filled(home, platform, name)
    setup = on(home, platform)
    assert setup.view(name).state == "install"
    setup.install(name)
    assert setup.view(name).state == "installed"
    assert setup.preview(name, "install").empty
    after = files_of(home)
    for place, data in before.items():
        for comment in COMMENT.findall(data):
            assert comment in after[place], place
    setup.remove(name)
    assert files_of(home) == before


@pytest.mark.parametrize("name", NAMES)
def test_removal_from_a_file_changed_since_leaves_the_change(home: Path, name: str) -> None:
    before = filled(home, "linux", name)
    setup = on(home)
    setup.install(name)
    for place in before:
        (home / place).write_bytes(touched((home / place).read_bytes()))
    setup.remove(name)
    assert setup.view(name).state == "install"
    assert files_of(home) == {place: touched(data) for place, data in before.items()}


def touched(data: bytes) -> bytes:
    """A file as after someone's edit of a comment or a value in it."""
    new = data.replace(b"mine", b"really mine")
    assert new != data
    return new


@pytest.mark.parametrize("name", NAMES)
def test_another_port_needs_an_update(home: Path, name: str) -> None:
    on(home, url=OTHER).install(name)
    setup = on(home)
    view = setup.view(name)
    assert (view.state, view.actions) == ("needs update", ("update", "remove", "undo"))
    assert view.sentence.startswith(f"Points at {OTHER}")
    setup.install(name)
    assert setup.view(name).state == "installed"
    assert OTHER.encode() not in b"".join(files_of(home).values())
    setup.remove(name)
    assert files_of(home) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_hosted_api_is_offered_an_update(home: Path, name: str) -> None:
    on(home, url="https://api.example.com/v1").install(name)
    view = on(home).view(name)
    assert view.state == "hosted"
    assert "https://api.example.com/v1" in view.sentence
    assert "update" in view.actions
    on(home).install(name)
    assert on(home).view(name).state == "installed"


@pytest.mark.parametrize("name", NAMES)
def test_undo_puts_back_and_undoing_that_does_it_again(home: Path, name: str) -> None:
    before = filled(home, "linux", name)
    setup = on(home)
    setup.install(name)
    installed = files_of(home)
    setup.undo(name)
    assert files_of(home) == before
    setup.undo(name)
    assert files_of(home) == installed
    setup.remove(name)
    assert files_of(home) == before


@pytest.mark.parametrize("name", NAMES)
def test_windows_line_ends_and_a_byte_order_mark_stay(home: Path, name: str) -> None:
    filled(home, "linux", name)
    for place in files_of(home):
        path = home / place
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    before = files_of(home)
    setup = on(home)
    setup.install(name)
    for place, data in files_of(home).items():
        if place in before:
            assert data.startswith(b"\xef\xbb\xbf")
            assert data.count(b"\r\n") == data.count(b"\n")
    for place in before:
        (home / place).write_bytes(touched((home / place).read_bytes()))
    setup.remove(name)
    assert files_of(home) == {place: touched(data) for place, data in before.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_syntax_error_is_told_with_its_place_and_nothing_is_written(home: Path, name: str) -> None:
    before = filled(home, "linux", name)
    for place in before:
        (home / place).write_bytes(b'{"a" 1' if ".json" in place else b"a: [b\n")
    broken = files_of(home)
    setup = on(home)
    view = setup.view(name)
    assert view.state == "unreadable"
    assert "line 1" in view.sentence or "line 2" in view.sentence
    assert str(home) in view.sentence
    assert files_of(home) == broken


def test_the_samples_are_of_all_agents(setup: Service) -> None:
    assert sorted(SAMPLES) == sorted(NAMES)
    assert [view.name for view in setup.overview()] == NAMES
    assert setup.target.base_url == URL
