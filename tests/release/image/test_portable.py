from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ds_store import DSStore
from mac_alias import Alias

from errors import Exit
from release.image import build
from release.image.faults import ImageFault
from release.image.hfsplus import names
from release.image.plan import BACKGROUND, ImagePlan, icon_locations, settings
from release.image.portable import build_portable
from release.image.reader import DiskImage
from tests.release.image import trees


@pytest.fixture(scope="module")
def made(plan: ImagePlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("made") / "x.dmg"
    build_portable(plan, target)
    return target


def test_a_background_still_to_be_drawn_comes_to_the_same(plan: ImagePlan, made: Path, tmp_path: Path):
    build_portable(replace(plan, background=BACKGROUND), tmp_path / "y.dmg")
    assert (tmp_path / "y.dmg").read_bytes() == made.read_bytes()


def ds_store(image: Path) -> dict[tuple[str, bytes], Any]:
    with DiskImage.open(image) as opened:
        data = b"".join(opened.read(".DS_Store"))
    with DSStore.open(io.BytesIO(data), "r+") as store:
        return {(entry.filename, entry.code): entry.value for entry in store}


def test_the_volume_holds_app_link_and_looks(made: Path, app: Path):
    with DiskImage.open(made) as image:
        entries = {entry.path: entry for entry in image.entries()}
        assert image.volume_name == "Little App"
        assert image.custom_icon
        icon = b"".join(image.read(".VolumeIcon.icns"))
    assert sorted(path for path in entries if "/" not in path) == [
        ".DS_Store", ".VolumeIcon.icns", ".background.tiff", "Applications", "Little App.app",
    ]  # fmt: skip
    assert (entries["Applications"].kind, entries["Applications"].target) == ("link", "/Applications")
    assert icon == (app / "Contents/Resources/icon.icns").read_bytes()
    assert not any(entry.flags for entry in entries.values())


def test_the_app_is_whole(made: Path, app: Path, tmp_path: Path):
    expected = {f"Little App.app/{path}": thing for path, thing in trees.on_disk(app).items()}
    for seen in (trees.by_us(made), trees.by_dpp(made)):
        inside = {path: thing for path, thing in seen.items() if path.startswith("Little App.app/")}
        assert trees.differences(expected, inside) == []


def test_what_finder_is_told(made: Path, plan: ImagePlan):
    told = ds_store(made)
    assert told[".", b"bwsp"]["WindowBounds"].endswith("{720, 432}}")
    assert not any(value for key, value in told[".", b"bwsp"].items() if key.startswith("Show"))
    view = told[".", b"icvp"]
    assert (view["iconSize"], view["arrangeBy"], view["backgroundType"]) == (96.0, "none", 2)
    app, link = told["Little App.app", b"Iloc"], told["Applications", b"Iloc"]
    assert app[0] < 360 < link[0]
    assert app[1] == link[1] < 432 - 28 - 48
    assert app[0] + link[0] == 720
    assert {name: told[name, b"Iloc"] for name, _ in told if (name, b"Iloc") in told} == icon_locations(plan)


def test_the_background_is_found_by_path_and_by_number(made: Path):
    alias = Alias.from_bytes(ds_store(made)[".", b"icvp"]["backgroundImageAlias"])
    assert (alias.volume.name, alias.volume.fs_type) == ("Little App", b"H+")
    assert alias.volume.creation_date.timestamp() == trees.EPOCH
    assert (alias.target.posix_path, alias.target.folder_cnid) == ("/.background.tiff", 2)
    import dpp

    with dpp.open(str(made)) as opened:
        assert opened.filesystem().stat("/.background.tiff").id == alias.target.cnid


def test_hidden_files_lie_outside_the_window(plan: ImagePlan):
    places = icon_locations(plan)
    assert all(y > plan.window[1] for name, (_, y) in places.items() if name.startswith("."))


def test_no_finder_information_on_the_signed_bundle(plan: ImagePlan):
    assert not {"hide", "hide_extensions"} & settings(plan).keys()


def test_the_same_bytes_whatever_the_threads_times_and_umask(plan: ImagePlan, made: Path, tmp_path: Path):
    before = os.umask(0o077)
    try:
        os.utime(plan.app / "Contents/Info.plist", (1, 1))
        build_portable(plan, tmp_path / "y.dmg", threads=1)
    finally:
        os.umask(before)
    assert (tmp_path / "y.dmg").read_bytes() == made.read_bytes()
    build_portable(replace(plan, created=trees.EPOCH + 1), tmp_path / "y.dmg")
    assert (tmp_path / "y.dmg").read_bytes() != made.read_bytes()


@pytest.mark.parametrize("form", ["UDZO", "ULMO"])
def test_other_formats_hold_the_same(form: Any, plan: ImagePlan, made: Path, tmp_path: Path):
    build_portable(replace(plan, format=form), tmp_path / "y.dmg")
    assert trees.by_us(tmp_path / "y.dmg") == trees.by_us(made)


NOTHING_PATCHED = """
import platform
real = platform.mac_ver
from release.image import build
from types import SimpleNamespace
core = build._import()
kept = [vars(core)[name] for name in ("hdiutil", "subprocess", "Alias")]
with build._dmgbuild(SimpleNamespace(call=None)):
    assert all(vars(core)[name] is not was for name, was in zip(("hdiutil", "subprocess", "Alias"), kept))
assert [vars(core)[name] for name in ("hdiutil", "subprocess", "Alias")] == kept
assert platform.mac_ver is real
"""


def test_nothing_is_left_patched_or_lying_about(plan: ImagePlan, tmp_path: Path):
    subprocess.run((sys.executable, "-c", NOTHING_PATCHED), check=True, env={**os.environ, "PYTHONPATH": "."})
    version = platform.mac_ver()
    with pytest.raises(ImageFault):
        build_portable(replace(plan, volume_name=""), tmp_path / "x.dmg")
    build_portable(plan, tmp_path / "x.dmg")
    assert platform.mac_ver() == version
    assert [path.name for path in tmp_path.iterdir()] == ["x.dmg"]


def test_two_at_once_wait_for_each_other(plan: ImagePlan, made: Path, tmp_path: Path):
    targets = [tmp_path / f"{i}.dmg" for i in range(3)]
    threads = [threading.Thread(target=build_portable, args=(plan, target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {target.read_bytes() for target in targets} == {made.read_bytes()}


def test_progress_is_in_bytes_of_the_volume(plan: ImagePlan, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    build_portable(plan, tmp_path / "x.dmg", on_progress=lambda *step: seen.append(step))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 6_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume_name": ""}, "volume name"),
        ({"volume_name": "x" * 28}, "volume name"),
        ({"app": Path("none.app")}, "no app"),
        ({"background": Path("none.svg")}, "background picture is missing"),
        ({"icon": Path("none.icns")}, "volume icon is missing"),
    ],
)
def test_plans_no_image_can_be_made_of(change: dict[str, Any], message: str, plan: ImagePlan, tmp_path: Path):
    with pytest.raises(ImageFault, match=message) as caught:
        build_portable(replace(plan, **change), tmp_path / "x.dmg")
    assert caught.value.status == Exit.IMAGE
    assert list(tmp_path.iterdir()) == []


def test_a_finder_flag_asked_for_arrives(plan: ImagePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = {**settings(plan), "hide": ["Applications"], "hide_extensions": ["Little App.app"]}
    monkeypatch.setattr(build, "settings", lambda plan: {**asked, "background": str(plan.background)})
    build_portable(plan, tmp_path / "x.dmg")
    with DiskImage.open(tmp_path / "x.dmg") as image:
        flags = {entry.path: entry.flags for entry in image.entries() if entry.flags}
    assert flags == {"Applications": 0x4000, "Little App.app": 0x0010}
    import dpp

    with dpp.open(str(tmp_path / "x.dmg")) as opened:
        assert names.decompose("Applications") in {e.name for e in opened.filesystem().list_directory("/")}
