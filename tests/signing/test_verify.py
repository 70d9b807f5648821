"""Whatever is changed in a signed app, the verifier says so; and it finds nothing in what nobody changed."""

from __future__ import annotations

import os
import plistlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import Exit
from signing import resources
from signing.identity import Identity, throwaway
from signing.plan import plan_app
from signing.portable import Portable
from signing.verify import BadSignature, Report, verify_app, verify_macho
from tests.signing import machos
from tests.signing.changes import unnoticed
from tests.signing.conftest import MOMENT

PROGRAM = Path("Contents/Helpers/bun")
OLD_LIBRARY = Path("Contents/Resources/lib/tiny.cpython-311-darwin.so")
UNIVERSAL = Path("Contents/Frameworks/Sparkle.framework/Versions/B/Autoupdate")
SPARKLE = Path("Contents/Frameworks/Sparkle.framework")


def problems(report: Report) -> list[str]:
    return [str(problem) for problem in report.all_problems()]


def test_accepts_a_signed_app(original: Path, identity: Identity) -> None:
    report = verify_app(original, exact=True)
    assert problems(report) == []
    assert report.require() is report
    assert (report.identifier, report.team_id, report.flags) == (
        "com.example.tiny",
        "TINYTEAM12",
        ("runtime",),
    )
    assert report.hash_type == 2
    assert len(report.cdhash) == 40
    assert not report.timestamped
    assert {each.subject for each in report.walk()} == {
        str(original),
        str(PROGRAM),
        str(OLD_LIBRARY),
        str(UNIVERSAL),
        str(SPARKLE),
        "Contents/Frameworks/libtiny.3.dylib",
        f"{SPARKLE}/Versions/B/Updater.app",
        f"{SPARKLE}/Versions/B/XPCServices/Installer.xpc",
        f"{SPARKLE}/Versions/B/XPCServices/Downloader.xpc",
    }


def test_trusts_only_the_pinned_certificate(original: Path, tmp_path: Path) -> None:
    other = throwaway(tmp_path, name="Tiny", team_id="TINYTEAM12")
    pinned = throwaway(original.parent / "identity", name="Tiny", team_id="TINYTEAM12")
    assert verify_app(original, trust=pinned.certificate_pem, exact=True).ok
    report = verify_app(original, trust=other.certificate_pem)
    assert not report.ok
    assert all("was not signed with the expected certificate" in line for line in problems(report))
    with pytest.raises(BadSignature) as caught:
        report.require()
    assert caught.value.status == Exit.SIGNATURE
    assert caught.value.details


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"\n")


def relink(target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return change


def to_file(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def edit_plist(path: Path) -> None:
    path.write_bytes(plistlib.dumps({**plistlib.loads(path.read_bytes()), "CFBundleVersion": "2"}))


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ("Contents/Info.plist", edit_plist, "does not have the Info.plist it was signed with"),
        ("Contents/Info.plist", Path.unlink, "cannot be read"),
        ("Contents/Info.plist", write("<plist"), "cannot be understood"),
        ("Contents/Info.plist", write("<plist><array/></plist>"), "not a dictionary"),
        ("Contents/PkgInfo", write("BNDL????"), "PkgInfo that contradicts"),
        ("Contents/_CodeSignature/CodeResources", append, "resource seal it was signed with"),
        ("Contents/_CodeSignature/CodeResources", Path.unlink, "has no resource seal"),
        ("Contents/_CodeSignature/more", write("x"), "is left out of the seal"),
        ("Contents/Resources/data.txt", append, "is not what was sealed"),
        ("Contents/Resources/data.txt", Path.unlink, "is sealed but missing"),
        ("Contents/Resources/data.txt", relink("lib"), "is a link and was not sealed as one"),
        ("Contents/Resources/more.txt", write("x"), "is not covered by the seal"),
        ("Contents/Resources/.DS_Store", write("x"), "is left out of the seal"),
        ("Contents/Resources/link.txt", relink("lib"), "leads to lib, not to data.txt"),
        ("Contents/Resources/link.txt", to_file, "is sealed as a link and is not one"),
        ("Contents/Resources/en.lproj/tiny.strings", append, "is not what was sealed"),
        ("Contents/Helpers/more", write("x"), "is not covered by the seal"),
        ("Contents/more.txt", write("x"), "is not covered by the seal"),
        ("more.txt", write("x"), "lies beside Contents"),
        ("Contents/MacOS/Tiny", append, "after its signature"),
        ("Contents/MacOS/Tiny", Path.unlink, "main executable Tiny is missing"),
        ("Contents/MacOS/Tiny", lambda path: path.chmod(0o644), "may not be executed"),
        (PROGRAM, Path.unlink, "is sealed but missing"),
        (PROGRAM, write("#!/bin/sh\n"), "is sealed as nested code and is not code"),
        (PROGRAM, lambda path: path.write_bytes(machos.macho()), "is not signed"),
        (OLD_LIBRARY, append, "after its signature"),
        (SPARKLE / "Sparkle", relink("Versions/B/Sparkle"), "is not a link into the current version"),
        (SPARKLE / "more", write("x"), "is not a link into the current version"),
        (SPARKLE / "more", lambda path: path.symlink_to("Versions/Current/more"), "leads nowhere"),
        (SPARKLE / "Versions/Current", relink("C"), "no link Versions/Current"),
        (SPARKLE / "Versions/Current", relink("../Versions/B"), "no link Versions/Current"),
        (SPARKLE / "Versions/C", Path.mkdir, "cannot be read"),
        (SPARKLE / "Versions/more", write("x"), "is not a version"),
        (SPARKLE / "Versions/B/Resources/Info.plist", edit_plist, "does not have the Info.plist"),
        (SPARKLE / "Versions/B/Updater.app/Contents/Info.plist", edit_plist, "does not have the Info.plist"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | Path) else "",
)
def test_notices(app: Path, path: str | Path, change: Callable[[Path], object], expected: str) -> None:
    assert verify_app(app, exact=True).ok
    change(app / path)
    report = verify_app(app, exact=True)
    assert not report.ok
    assert any(expected in line for line in problems(report)), problems(report)


def test_a_localization_may_be_removed(app: Path) -> None:
    shutil.rmtree(app / "Contents/Resources/en.lproj")
    assert verify_app(app, exact=True).ok


def test_a_ticket_may_be_stapled(app: Path) -> None:
    (app / "Contents/CodeResources").write_bytes(b"ticket")
    assert verify_app(app, exact=True).ok


def test_nested_code_may_not_be_exchanged_for_other_signed_code(
    app: Path, identity: Identity, tmp_path: Path
) -> None:
    """Not even for code of the same name by the same signer, as an attacker with an older release has it."""
    signer = Portable(identity, timestamp_url=None, signing_time=MOMENT)
    other = machos.write(tmp_path / "bun", machos.macho(code_size=512))
    signer.sign_image(other, tmp_path / "signed", identifier="bun")
    shutil.copy(tmp_path / "signed", app / PROGRAM)
    assert verify_macho(app / PROGRAM).ok
    assert any("is not the code its parent was sealed with" in line for line in problems(verify_app(app)))


def test_nested_code_of_another_name(app: Path, original: Path) -> None:
    shutil.copy(original / "Contents/Frameworks/libtiny.3.dylib", app / PROGRAM)
    found = problems(verify_app(app))
    assert any("requirement its parent was sealed with" in line for line in found), found


def sampled(size: int, around: int, count: int = 150) -> list[int]:
    """Positions all over a file, more of them in its headers and its signature."""
    pick = random.Random(20260102)
    parts = (range(1200), range(1200, around), range(around, size))
    return sorted({pick.choice(part) for part in parts for _ in range(count)})


@pytest.mark.parametrize("name", [PROGRAM, OLD_LIBRARY, UNIVERSAL], ids=lambda path: path.name)
def test_notices_changed_bytes_of_a_mach_o(app: Path, name: Path) -> None:
    data = (app / name).read_bytes()
    assert unnoticed(data, holds(app / name), sampled(len(data), len(data) - 7000)) == []


def holds(path: Path) -> Callable[[bytes], bool]:
    def check(data: bytes) -> bool:
        path.write_bytes(data)
        return verify_macho(path, exact=True).ok

    return check


@pytest.mark.slow
@pytest.mark.parametrize("minimum", [(13, 0), (10, 9)], ids=["one directory", "two directories"])
def test_notices_a_change_of_any_byte_of_a_mach_o(
    minimum: tuple[int, int], signer: Portable, tmp_path: Path
) -> None:
    source = machos.write(tmp_path / "tiny", machos.macho("x86_64", minimum=minimum))
    signer.sign_image(source, tmp_path / "signed", identifier="tiny")
    data = (tmp_path / "signed").read_bytes()
    assert unnoticed(data, holds(tmp_path / "signed"), range(len(data))) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_notices_any_change_of_any_file(app: Path, data: st.DataObject) -> None:
    files = sorted(path for path in app.rglob("*") if path.is_file() and not path.is_symlink())
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        assert not verify_app(app, exact=True).ok, f"{path} at {at}"
    finally:
        path.write_bytes(content)


def test_rubbish_in_unused_space_is_a_warning_unless_exact(app: Path) -> None:
    path = app / PROGRAM
    data = bytearray(path.read_bytes())
    assert data[-1] == 0
    data[-1] = 1
    path.write_bytes(data)
    assert verify_macho(path).ok
    assert not verify_macho(path, exact=True).ok


def test_an_unsigned_slice_is_named(tmp_path: Path) -> None:
    report = verify_macho(machos.write(tmp_path / "both", machos.both()))
    assert problems(report) == ["x86_64: is not signed", "arm64: is not signed"]
    assert not report.ok


def test_ad_hoc_code_holds_but_is_nobodys(tmp_path: Path, identity: Identity) -> None:
    import apple_platform

    path = machos.write(tmp_path / "tiny", machos.macho())
    apple_platform.sign(path, tmp_path / "signed")
    report = verify_macho(tmp_path / "signed")
    assert report.ok
    assert report.flags == ("adhoc",)
    assert report.certificates == ()
    assert "nobody vouches" in problems(report)[0]
    assert not verify_macho(tmp_path / "signed", trust=identity.certificate_pem).ok


@pytest.mark.parametrize("data", [b"", b"x", b"\xcf\xfa\xed\xfe" * 20, b"\xca\xfe\xba\xbe" + bytes(200)])
def test_files_that_are_no_mach_o_are_problems_not_tracebacks(tmp_path: Path, data: bytes) -> None:
    path = machos.write(tmp_path / "file", data)
    assert not verify_macho(path).ok


def test_what_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadSignature, match="no bundle"):
        verify_app(tmp_path / "absent.app")
    assert not verify_app(tmp_path).ok


def test_what_cannot_be_read_is_a_fault(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, algorithm: str) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(resources, "hash_file", refuse)
    with pytest.raises(BadSignature, match="cannot be read: Permission denied") as caught:
        verify_app(app)
    assert caught.value.where


@pytest.mark.parametrize("name", ["Resources/data.txt", "Info.plist", "MacOS/Tiny", "Helpers/bun"])
def test_a_pipe_is_not_waited_for(app: Path, name: str) -> None:
    (app / "Contents" / name).unlink()
    os.mkfifo(app / "Contents" / name)
    assert not verify_app(app).ok


def test_deep_nesting_ends(tmp_path: Path) -> None:
    inner = outer = tmp_path / "A.app"
    for _ in range(30):
        machos.bundle(inner, "com.example.a")
        inner = inner / "Contents/Frameworks/A.app"
    assert any("nested too deeply" in line for line in problems(verify_app(outer)))


def test_an_app_signed_twice_is_the_same_app(unsigned: Path, identity: Identity, tmp_path: Path) -> None:
    signer = Portable(identity, timestamp_url=None, signing_time=MOMENT)
    plan = plan_app(unsigned)
    first, second = tmp_path / "1" / "Tiny.app", tmp_path / "2" / "Tiny.app"
    signer.sign_app(plan, unsigned, first)
    signer.sign_app(plan, unsigned, second)
    for path in sorted(first.rglob("*")):
        twin = second / path.relative_to(first)
        assert path.lstat().st_mode == twin.lstat().st_mode
        assert not path.is_file() or path.read_bytes() == twin.read_bytes()
