from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from errors import Exit, Fault
from signing import lint
from tests.signing import machos

SPARKLE = Path("Contents/Frameworks/Sparkle.framework")


def write(data: bytes = b"x") -> Callable[[Path], object]:
    return lambda path: machos.write(path, data)


def link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def version(path: Path) -> None:
    (path / "Resources").mkdir(parents=True)


def test_finds_nothing_in_a_good_app(unsigned: Path) -> None:
    assert list(lint.findings(unsigned)) == []
    lint.require(unsigned)


@pytest.mark.parametrize(
    ("path", "make", "status", "what"),
    [
        ("Contents/Info.plist", write(b"<plist"), Exit.PLIST, "cannot be understood"),
        ("Contents/Info.plist", Path.unlink, Exit.PLIST, "cannot be read"),
        (SPARKLE / "Versions/B/Resources/Info.plist", write(b""), Exit.PLIST, "cannot be understood"),
        (
            "Contents/Resources/out",
            link("../../../etc"),
            Exit.LINK,
            "leads out of the bundle, to ../../../etc",
        ),
        ("Contents/Resources/out", link("/usr/bin/true"), Exit.LINK, "leads out of the bundle"),
        ("Contents/Resources/out", link("nothing"), Exit.LINK, "leads nowhere"),
        ("Contents/Helpers/README", write(), Exit.SIGN, "is a file where only code is sealed"),
        ("Contents/MacOS/script.sh", write(), Exit.SIGN, "is a file where only code is sealed"),
        ("Contents/Frameworks/notes.txt", write(), Exit.SIGN, "is a file where only code is sealed"),
        ("Contents/XPCServices/x/data", write(), Exit.SIGN, "is a file where only code is sealed"),
        ("Contents/more.txt", write(), Exit.SIGN, "is a file where only code is sealed"),
        (SPARKLE / "Versions/B/notes.txt", write(), Exit.SIGN, "is a file where only code is sealed"),
        ("Contents/Frameworks/python3.11/a", write(), Exit.SIGN, "is a folder with a dot in its name"),
        ("Contents/Resources/Grüße.txt", write(), Exit.SIGN, "has a name that is not ASCII"),
        ("Contents/Helpers/full", write(machos.macho(room=8)), Exit.SIGN, "has no room in its arm64 header"),
        ("Contents/Helpers/broken", write(machos.macho()[:64]), Exit.SIGN, "outside of its file"),
        (SPARKLE / "Versions/C", version, Exit.SIGN, "more than one version"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | Path) else "",
)
def test_finds(
    unsigned: Path, path: str | Path, make: Callable[[Path], object], status: Exit, what: str
) -> None:
    make(unsigned / path)
    (found,) = lint.findings(unsigned)
    assert found.status == status
    assert what in found.what
    with pytest.raises(Fault) as caught:
        lint.require(unsigned)
    assert caught.value.status == status
    assert caught.value.cure
    assert what in str(caught.value)


def test_a_link_out_through_another_link(unsigned: Path) -> None:
    """`a/..` looks like Resources, but `a` leads to the app, and a step up from there is outside."""
    resources = unsigned / "Contents/Resources"
    (resources / "a").symlink_to("../..")
    (resources / "b").symlink_to("a/../outside")
    (found,) = lint.findings(unsigned)
    assert (found.status, found.path) == (Exit.LINK, "Contents/Resources/b")
    assert "leads out of the bundle" in found.what


def test_the_app_may_be_named_in_a_roundabout_way(unsigned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unsigned / "Contents")
    assert list(lint.findings(Path("../../Tiny.app"))) == []


def test_the_slice_without_room_is_named(unsigned: Path) -> None:
    slices = {"x86_64": machos.macho("x86_64", room=8), "arm64": machos.macho()}
    machos.write(unsigned / "Contents/Resources/tight.so", machos.universal(slices))
    (found,) = lint.findings(unsigned)
    assert "x86_64" in found.what


def test_the_gravest_kind_comes_first(unsigned: Path) -> None:
    machos.write(unsigned / "Contents/Helpers/README", b"x")
    (unsigned / "Contents/Resources/out").symlink_to("/")
    with pytest.raises(Fault) as caught:
        lint.require(unsigned)
    assert caught.value.status == Exit.LINK


def test_long_lists_are_cut(unsigned: Path) -> None:
    for number in range(50):
        machos.write(unsigned / f"Contents/Helpers/{number}.txt", b"x")
    with pytest.raises(Fault) as caught:
        lint.require(unsigned)
    assert caught.value.details[-1] == "… and 30 more"
