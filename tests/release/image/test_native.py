"""The Mac's way, with a recorder for its tools: what is run, and how it bears with hdiutil's moods."""

from __future__ import annotations

import plistlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mac_alias import Alias
from mac_alias.alias import TargetInfo, VolumeInfo

from commands import Result
from errors import Exit, Fault
from release.image import native
from release.image.faults import ImageFault
from release.image.native import build_native
from release.image.plan import ImagePlan, settings
from tests.standins.commands import Recorder

DEVICE = "/dev/disk7s1"


class Mac:
    """Answers as macOS's tools do, on a folder. `moods` maps a verb to the failures it has first."""

    def __init__(self, mount: Path, moods: dict[str, list[tuple[int, str]]] | None = None) -> None:
        self.mount, self.moods = mount, moods or {}
        self.slept: list[float] = []
        self.recorder = Recorder(reply=self.reply)
        mount.mkdir()

    def reply(self, argv: tuple[str, ...]) -> Result | None:
        verb = argv[1] if argv[0].endswith("hdiutil") else argv[0].rpartition("/")[2]
        if "-force" in argv:
            verb += " -force"
        if self.moods.get(verb):
            status, text = self.moods[verb].pop(0)
            return Result(argv, status, b"", text.encode())
        if verb == "attach":
            entities = [{"dev-entry": "/dev/disk7"}, {"dev-entry": DEVICE, "mount-point": str(self.mount)}]
            return Result(argv, 0, plistlib.dumps({"system-entities": entities}))
        if verb == "ditto":
            shutil.copytree(argv[1], argv[2], symlinks=True)
        if verb == "convert":
            Path(argv[argv.index("-o") + 1]).write_bytes(b"an image")
        return Result(argv, 0, plistlib.dumps({}) if argv[-1] == "-plist" else b"")

    def run(self, plan: ImagePlan, dst: Path, on_progress: Callable[[int, int], None] | None = None) -> None:
        build_native(
            plan, dst, runner=self.recorder, sleep=self.slept.append, alias=_alias, on_progress=on_progress
        )

    @property
    def verbs(self) -> list[str]:
        return [Path(call[0]).name if "hdiutil" not in call[0] else call[1] for call in self.recorder.calls]


def _alias(path: Path) -> Alias:
    from datetime import UTC, datetime

    day = datetime(2026, 1, 1, tzinfo=UTC)
    return Alias(
        volume=VolumeInfo("V", day, b"H+", 0, 0, bytes(2)),
        target=TargetInfo(0, path.name, 2, 16, day, bytes(4), bytes(4)),
    )


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(tmp_path / "mount")


def test_exactly_these_programs_run(mac: Mac, plan: ImagePlan, tmp_path: Path):
    mac.run(plan, tmp_path / "out" / "x.dmg")
    calls = mac.recorder.calls
    writable = calls[0][-2]
    made = calls[-1][calls[-1].index("-o") + 1]
    mount = str(mac.mount)
    size = calls[0][calls[0].index("-size") + 1]
    assert calls == [
        (native.HDIUTIL, "create", "-ov", "-volname", "Little App", "-fs", "HFS+",
         "-fsargs", "-c c=64,a=16,e=16", "-size", size, writable, "-plist"),
        (native.HDIUTIL, "attach", "-nobrowse", "-owners", "off", writable, "-plist"),
        ("/usr/bin/SetFile", "-a", "C", mount),
        ("/usr/bin/ditto", str(plan.app), f"{mount}/Little App.app"),
        ("sync", "--file-system", mount),
        (native.HDIUTIL, "detach", DEVICE),
        (native.HDIUTIL, "resize", "-quiet", "-sectors", "min", writable),
        (native.HDIUTIL, "convert", writable, "-format", "ULFO", "-ov", "-o", made, "-plist"),
    ]  # fmt: skip
    assert (tmp_path / "out" / "x.dmg").read_bytes() == b"an image"
    assert mac.slept == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.dmg"]


def test_the_volume_gets_what_the_portable_one_gets(mac: Mac, plan: ImagePlan, tmp_path: Path):
    mac.run(plan, tmp_path / "x.dmg")
    assert sorted(path.name for path in mac.mount.iterdir()) == [
        ".DS_Store", ".VolumeIcon.icns", ".background.tiff", "Applications", "Little App.app",
    ]  # fmt: skip
    assert (mac.mount / "Applications").readlink() == Path("/Applications")
    assert settings(plan)["filesystem"] == "HFS+"


@pytest.mark.parametrize("verb", ["create", "attach", "resize", "convert"])
@pytest.mark.parametrize("status", [1, 16, 35, 256, 49153])
def test_passing_failures_are_tried_again(verb: str, status: int, plan: ImagePlan, tmp_path: Path):
    busy = [(status, f"hdiutil: {verb} failed - Resource busy")] * 3
    mac = Mac(tmp_path / "mount", {verb: busy})
    mac.run(plan, tmp_path / "x.dmg")
    assert mac.verbs.count(verb) == 4
    assert mac.slept == list(native.WAITS[:3])


@pytest.mark.parametrize("verb", ["create", "attach", "resize", "convert"])
def test_patience_ends_and_the_volume_is_detached(verb: str, plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {verb: [(16, "hdiutil: Resource busy")] * 99})
    with pytest.raises(ImageFault, match=f"hdiutil {verb} ended with status 16") as caught:
        mac.run(plan, tmp_path / "x.dmg")
    assert caught.value.details == ("hdiutil: Resource busy",)
    assert mac.verbs.count(verb) == 1 + len(native.WAITS)
    assert ("detach" in mac.verbs) == (verb in ("resize", "convert"))
    assert not (tmp_path / "x.dmg").exists()


def test_other_failures_are_not_tried_again(plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"create": [(2, "hdiutil: create: Unknown option")]})
    with pytest.raises(ImageFault, match="status 2"):
        mac.run(plan, tmp_path / "x.dmg")
    assert mac.verbs == ["create"]


def test_a_full_disk_is_told_at_once(plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"convert": [(1, "hdiutil: convert failed - No space left on device")] * 9})
    with pytest.raises(ImageFault) as caught:
        mac.run(plan, tmp_path / "x.dmg")
    assert (caught.value.status, mac.slept) == (Exit.DISK, [])


@pytest.mark.parametrize(
    "text", ["hdiutil: detach failed - No such file or directory", "disk7: not attached"]
)
def test_a_volume_that_has_gone_is_detached(text: str, plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"detach": [(1, text)] * 9})
    mac.run(plan, tmp_path / "x.dmg")
    assert (mac.verbs.count("detach"), mac.slept) == (1, [])


def test_a_volume_that_is_held_is_detached_by_force(plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"detach": [(16, "couldn't unmount: Resource busy")] * 99})
    mac.run(plan, tmp_path / "x.dmg")
    assert mac.recorder.calls.count((native.HDIUTIL, "detach", "-force", DEVICE)) == 1
    assert (tmp_path / "x.dmg").exists()


def test_a_volume_nothing_detaches_is_a_fault(plan: ImagePlan, tmp_path: Path):
    busy = [(16, "Resource busy")] * 99
    mac = Mac(tmp_path / "mount", {"detach": list(busy), "detach -force": list(busy)})
    with pytest.raises(ImageFault, match="hdiutil detach"):
        mac.run(plan, tmp_path / "x.dmg")


def test_a_copy_that_fails_is_not_ignored(plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"ditto": [(1, "ditto: No space left on device")]})
    with pytest.raises(ImageFault, match="ditto ended with status 1") as caught:
        mac.run(plan, tmp_path / "x.dmg")
    assert caught.value.status == Exit.DISK
    assert mac.recorder.calls[-1] == (native.HDIUTIL, "detach", DEVICE)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Fault])
def test_an_interrupted_build_leaves_nothing_attached(
    stop: type[BaseException], plan: ImagePlan, tmp_path: Path
):
    mac = Mac(tmp_path / "mount")
    answer = mac.reply

    def reply(argv: tuple[str, ...]) -> Result | None:
        if "ditto" in argv[0]:
            raise stop("now")
        return answer(argv)

    mac.recorder.reply = reply
    with pytest.raises(stop):
        mac.run(plan, tmp_path / "x.dmg")
    assert "detach" in mac.verbs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mount"]


def test_an_answer_that_is_no_property_list(plan: ImagePlan, tmp_path: Path):
    mac = Mac(tmp_path / "mount", {"attach": [(0, "surprise")]})
    with pytest.raises(ImageFault, match="hdiutil's answer"):
        mac.run(plan, tmp_path / "x.dmg")


def test_progress_counts_the_steps(mac: Mac, plan: ImagePlan, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    mac.run(plan, tmp_path / "x.dmg", lambda *step: seen.append(step))
    assert seen == [(i, 6) for i in range(1, 7)]
