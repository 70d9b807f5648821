"""Apple's stapler through a recorder: command lines, patience, and outputs that appear whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Result
from errors import Exit, Fault
from signing.stapler import staple
from signing.ticket import TicketFault
from tests.standins.clock import FakeClock
from tests.standins.commands import Recorder


class Stapler:
    """Ends with the given statuses in turn; 0 appends a ticket to the file or folder named."""

    def __init__(self, *statuses: int) -> None:
        self.left = list(statuses)

    def __call__(self, argv: tuple[str, ...]) -> Result:
        status = self.left.pop(0)
        if status == 0 and argv[2] == "staple":
            path = Path(argv[3])
            target = path / "Contents/CodeResources" if path.is_dir() else path
            with target.open("ab") as file:
                file.write(b"ticket")
        return Result(argv, status, stderr=b"Processing\nsomething happened\n")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "signed" / "App.dmg"
    path.parent.mkdir()
    path.write_bytes(b"image ")
    return path


def test_the_copy_is_stapled_under_its_own_name(image: Path, tmp_path: Path) -> None:
    recorder, dst = Recorder(Stapler(0)), tmp_path / "App 1.0.dmg"
    staple(image, dst, runner=recorder, clock=FakeClock())
    ((*head, where),) = recorder.calls
    assert head == ["xcrun", "stapler", "staple"]
    assert (Path(where).name, Path(where).parent.parent) == ("App 1.0.dmg", tmp_path)
    assert (dst.read_bytes(), image.read_bytes()) == (b"image ticket", b"image ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["App 1.0.dmg", "signed"]


def test_an_app_with_links_replaces_an_older_one(tmp_path: Path) -> None:
    app, dst = tmp_path / "in" / "A.app", tmp_path / "A.app"
    (app / "Contents").mkdir(parents=True)
    (app / "Contents/link").symlink_to("nowhere")
    (dst / "Contents").mkdir(parents=True)
    (dst / "Contents/old").touch()
    staple(app, dst, runner=Recorder(Stapler(0)), clock=FakeClock())
    assert (dst / "Contents/CodeResources").read_bytes() == b"ticket"
    assert (dst / "Contents/link").is_symlink()
    assert not (dst / "Contents/old").exists()
    assert not (app / "Contents/CodeResources").exists()


def test_lag_and_lost_connections_are_borne(image: Path, tmp_path: Path) -> None:
    clock, recorder = FakeClock(), Recorder(Stapler(65, 68, 65, 0))
    staple(image, tmp_path / "out.dmg", runner=recorder, clock=clock)
    assert clock.pauses == [30.0, 60.0, 90.0]
    assert len(recorder.calls) == 4


@pytest.mark.parametrize(
    ("code", "status"), [(65, Exit.TICKET), (68, Exit.NETWORK)], ids=["no ticket", "no network"]
)
def test_not_for_ever(image: Path, tmp_path: Path, code: int, status: Exit) -> None:
    clock, recorder = FakeClock(), Recorder(Stapler(*[code] * 9))
    with pytest.raises(Fault) as caught:
        staple(image, tmp_path / "out.dmg", runner=recorder, clock=clock)
    assert caught.value.status is status
    assert caught.value.details == ("Processing", "something happened")
    assert clock.pauses == [30.0, 60.0, 90.0, 120.0]
    assert [each.name for each in tmp_path.iterdir()] == ["signed"]


def test_other_troubles_are_not_repeated(image: Path, tmp_path: Path) -> None:
    recorder = Recorder(Stapler(66))
    with pytest.raises(TicketFault, match="status 66"):
        staple(image, tmp_path / "out.dmg", runner=recorder, clock=FakeClock())
    assert len(recorder.calls) == 1


def test_no_room(image: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        staple(image, tmp_path / "absent" / "out.dmg", runner=Recorder(), clock=FakeClock())
    assert caught.value.status is Exit.DISK
