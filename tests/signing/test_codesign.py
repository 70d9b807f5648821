from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from commands import Result, missing
from errors import Exit, Fault
from signing import entitlements
from signing.codesign import Codesign, batches
from signing.plan import Item, Plan, plan_app
from tests.standins.clock import FakeClock
from tests.standins.commands import Recorder

NAME = "Developer ID Application: Tiny (TINYTEAM12)"
SPARKLE = "Contents/Frameworks/Sparkle.framework"


class Watching(Recorder):
    """Looks at the files a command names while it runs."""

    rights: dict[str, object]
    folder: Path

    def __init__(self) -> None:
        super().__init__(reply=self.look)
        self.rights = {}

    def look(self, argv: tuple[str, ...]) -> None:
        if "--entitlements" in argv:
            data = Path(argv[argv.index("--entitlements") + 1]).read_bytes()
            self.rights = plistlib.loads(data)
        self.folder = Path(argv[-1])
        assert self.folder.exists()


def lines(calls: list[tuple[str, ...]], root: Path) -> list[list[str]]:
    """The calls with entitlement files and the temporary app's folder left out."""
    prefix = next(part for part in calls[-1] if part.endswith(".app"))
    found = []
    for call in calls:
        words = list(call)
        if "--entitlements" in words:
            words[words.index("--entitlements") + 1] = "FILE"
        found.append([word.removeprefix(prefix).removeprefix("/") for word in words])
    return found


def test_exact_command_lines_of_an_app(unsigned: Path, tmp_path: Path) -> None:
    runner = Watching()
    dst = tmp_path / "signed" / "Tiny.app"
    Codesign(runner, identity=NAME).sign_app(plan_app(unsigned), unsigned, dst)
    start = ["codesign", "--force", "--sign", NAME, "--timestamp", "--options", "runtime"]
    assert lines(runner.calls, dst) == [
        [
            *start,
            f"{SPARKLE}/Versions/B/XPCServices/Installer.xpc",
            f"{SPARKLE}/Versions/B/XPCServices/Downloader.xpc",
            f"{SPARKLE}/Versions/B/Autoupdate",
            f"{SPARKLE}/Versions/B/Updater.app",
        ],
        [*start, SPARKLE, "Contents/Frameworks/libtiny.3.dylib"],
        [*start, "--entitlements", "FILE", "Contents/Helpers/bun"],
        [*start, "Contents/Resources/lib/tiny.cpython-311-darwin.so"],
        [*start, ""],
    ]
    assert runner.rights == dict(entitlements.JIT)


def test_works_on_a_copy_that_becomes_the_result(unsigned: Path, tmp_path: Path) -> None:
    runner = Watching()
    dst = tmp_path / "signed" / "Tiny.app"
    Codesign(runner, identity=NAME).sign_app(plan_app(unsigned), unsigned, dst)
    assert runner.folder not in (unsigned, dst)
    assert runner.folder.name == "Tiny.app", "codesign tells a bundle by its suffix"
    assert [path.name for path in dst.parent.iterdir()] == ["Tiny.app"]
    assert (dst / f"{SPARKLE}/Sparkle").is_symlink()


def test_keychain_and_timestamps(unsigned: Path, tmp_path: Path) -> None:
    runner = Watching()
    it = Codesign(runner, identity=NAME, keychain=Path("/k/ci.keychain-db"), timestamp=False)
    it.sign_app(plan_app(unsigned), unsigned, tmp_path / "signed.app")
    start = ("codesign", "--force", "--sign", NAME, "--keychain", "/k/ci.keychain-db", "--timestamp=none")
    assert {call[:7] for call in runner.calls} == {start}


def test_exact_command_line_of_an_image(tmp_path: Path) -> None:
    runner = Watching()
    (tmp_path / "a.dmg").write_bytes(b"image")
    Codesign(runner, identity=NAME).sign_image(
        tmp_path / "a.dmg", tmp_path / "signed.dmg", identifier="com.example.tiny.dmg"
    )
    start = ("codesign", "--force", "--sign", NAME, "--timestamp", "--identifier", "com.example.tiny.dmg")
    ((*argv, last),) = runner.calls
    assert tuple(argv) == start
    assert Path(last).name == "signed.dmg"
    assert (tmp_path / "signed.dmg").read_bytes() == b"image"
    assert (tmp_path / "a.dmg").read_bytes() == b"image"


def test_another_identifier_is_spelled_out(unsigned: Path, tmp_path: Path) -> None:
    runner = Watching()
    item = Item("Contents/Helpers/bun", "macho", "com.example.bun", ("runtime",), entitlements.NONE)
    Codesign(runner, identity=NAME).sign_app(Plan((item,)), unsigned, tmp_path / "signed.app")
    (argv,) = runner.calls
    assert argv[argv.index("--identifier") + 1] == "com.example.bun"


def item(path: str, **rights: object) -> Item:
    return Item(path, "macho", Path(path).name, ("runtime",), rights)


def test_calls_are_shared_by_what_is_alike() -> None:
    items = (item("a/b"), item("a/c"), item("a"), item("d", jit=True), item("e", jit=True), item(""))
    assert [[each.path for each in batch] for batch in batches(items)] == [
        ["a/b", "a/c"],
        ["a"],
        ["d", "e"],
        [""],
    ]
    many = tuple(item(str(number)) for number in range(450))
    assert [len(batch) for batch in batches(many)] == [200, 200, 50]


def test_a_refusal_is_a_fault_and_leaves_nothing(unsigned: Path, tmp_path: Path) -> None:
    runner = Recorder(reply=lambda argv: Result(argv, 1, b"", b"errSecInternalComponent\n"))
    with pytest.raises(Fault) as caught:
        Codesign(runner, identity=NAME).sign_app(
            plan_app(unsigned), unsigned, tmp_path / "out" / "signed.app"
        )
    assert caught.value.status == Exit.SIGN
    assert caught.value.details == ("errSecInternalComponent",)
    assert "keychain" in str(caught.value.cure)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_late_timestamp_server_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "a.dmg").write_bytes(b"image")
    late = Result((), 1, stderr=b"signed.dmg: The timestamp service is not available.\n")
    answers, clock = [late, late, Result((), 0)], FakeClock()
    runner = Recorder(reply=lambda argv: answers.pop(0))
    signer = Codesign(runner, identity=NAME, clock=clock)
    signer.sign_image(tmp_path / "a.dmg", tmp_path / "signed.dmg", identifier="x")
    assert clock.pauses == [5.0, 15.0]
    assert len(set(runner.calls)) == 1 and len(runner.calls) == 3

    never = Recorder(reply=lambda argv: late)
    with pytest.raises(Fault, match="codesign failed") as caught:
        Codesign(never, identity=NAME, clock=clock).sign_image(
            tmp_path / "a.dmg", tmp_path / "other.dmg", identifier="x"
        )
    assert len(never.calls) == 4 and "timestamp server" in str(caught.value.cure)
    assert not (tmp_path / "other.dmg").exists()


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("Warning: unable to build chain to self-signed root for signer", "certificateauthority"),
        ('"Developer ID": ambiguous (matches two)', "SHA-1"),
        ("User interaction is not allowed.", "locked"),
        ("something else", "in it and valid"),
    ],
)
def test_each_refusal_has_its_cure(said: str, cure: str, tmp_path: Path) -> None:
    (tmp_path / "a.dmg").write_bytes(b"image")
    runner = Recorder(reply=lambda argv: Result(argv, 1, stderr=said.encode()))
    with pytest.raises(Fault) as caught:
        Codesign(runner, identity=NAME).sign_image(tmp_path / "a.dmg", tmp_path / "b.dmg", identifier="x")
    assert cure in str(caught.value.cure) and len(runner.calls) == 1


def test_nothing_needs_what_a_vendor_signed_kept(unsigned: Path) -> None:
    """Identifier, flags and entitlements are in the plan: --preserve-metadata would have nothing to keep."""
    for item in plan_app(unsigned).items:
        assert item.identifier and item.flags == ("runtime",)
    runner = Watching()
    Codesign(runner, identity=NAME).sign_app(plan_app(unsigned), unsigned, unsigned.parent / "signed.app")
    assert not any(
        "--preserve-metadata" in word or word == "--deep" for call in runner.calls for word in call
    )


def test_without_codesign_it_says_so(tmp_path: Path) -> None:
    def absent(argv: tuple[str, ...]) -> None:
        raise missing(argv[0])

    (tmp_path / "a.dmg").write_bytes(b"image")
    with pytest.raises(Fault) as caught:
        Codesign(Recorder(reply=absent), identity=NAME).sign_image(
            tmp_path / "a.dmg", tmp_path / "b.dmg", identifier="x"
        )
    assert caught.value.status == Exit.TOOL
