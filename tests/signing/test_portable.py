from __future__ import annotations

import socket
from pathlib import Path

import pytest

from errors import Exit, Fault
from release.rehearsal.apple import AppleStandIn
from signing import entitlements, portable
from signing.identity import Identity
from signing.plan import Plan, plan_app
from signing.portable import Portable
from signing.verify import Report, verify_app, verify_macho
from tests.signing import machos
from tests.signing.conftest import MOMENT

AUTOUPDATE = "Contents/Frameworks/Sparkle.framework/Versions/B/Autoupdate"


def report_of(app: Path, path: str) -> Report:
    return next(each for each in verify_app(app).walk() if each.subject == path)


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else "",
        )
        for path in folder.rglob("*")
        if "_CodeSignature" not in path.parts
    }


def test_modes_and_links_stay(unsigned: Path, original: Path) -> None:
    assert tree(original) == tree(unsigned)


def test_a_vendors_entitlements_are_dropped(unsigned: Path, signer: Portable, tmp_path: Path) -> None:
    """Sparkle's Autoupdate comes with an application identifier that only its vendor may claim."""
    import apple_platform

    rights = tmp_path / "vendor.plist"
    rights.write_bytes(entitlements.to_plist({"com.apple.application-identifier": "org.example.Autoupdate"}))
    apple_platform.sign(unsigned / AUTOUPDATE, entitlements_xml_file=rights)
    assert verify_macho(unsigned / AUTOUPDATE).entitlements
    signer.sign_app(plan_app(unsigned), unsigned, tmp_path / "signed" / "Tiny.app")
    assert report_of(tmp_path / "signed" / "Tiny.app", AUTOUPDATE).entitlements == {}


def test_only_what_had_entitlements_gets_an_empty_set(unsigned: Path, tmp_path: Path) -> None:
    settings = portable.settings(plan_app(unsigned), unsigned, tmp_path)
    given = {scope for scope, each in settings.items() if each.entitlements_xml_file}
    assert given == {"Contents/Helpers/bun"}


def test_every_item_has_a_scope_of_its_own(unsigned: Path, tmp_path: Path) -> None:
    plan = plan_app(unsigned)
    settings = portable.settings(plan, unsigned, tmp_path)
    assert len(settings) == len(plan.items)
    assert "@main" in settings
    assert "Contents/Frameworks/Sparkle.framework/Versions/B" in settings


def test_timestamps_are_asked_for_everything(unsigned: Path, identity: Identity, tmp_path: Path) -> None:
    dst = tmp_path / "signed" / "Tiny.app"
    with AppleStandIn(tmp_path / "apple", epoch=MOMENT.timestamp()) as apple:
        it = Portable(identity, timestamp_url=apple.timestamp_url, signing_time=MOMENT)
        it.sign_app(plan_app(unsigned), unsigned, dst)
    report = verify_app(dst, trust=identity.certificate_pem, exact=True)
    assert report.ok
    assert all(each.timestamped for each in report.walk())
    assert {code.timestamp for each in report.walk() for code in each.codes} == {MOMENT}


def test_a_dead_timestamp_server_is_named_and_nothing_is_left(
    unsigned: Path, identity: Identity, tmp_path: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/ts"
        it = Portable(identity, timestamp_url=url, signing_time=MOMENT)
        with pytest.raises(Fault) as caught:
            it.sign_app(plan_app(unsigned), unsigned, tmp_path / "signed" / "Tiny.app")
    assert caught.value.status == Exit.SIGN
    assert url in str(caught.value)
    assert list((tmp_path / "signed").iterdir()) == []


def test_an_error_leaves_the_old_result(unsigned: Path, signer: Portable, tmp_path: Path) -> None:
    dst = tmp_path / "signed" / "Tiny.app"
    plan = plan_app(unsigned)
    signer.sign_app(plan, unsigned, dst)
    before = verify_app(dst).cdhash
    machos.write(unsigned / "Contents/Helpers/full", machos.macho(room=0))
    with pytest.raises(Fault) as caught:
        signer.sign_app(plan, unsigned, dst)
    assert caught.value.status == Exit.SIGN
    assert verify_app(dst).cdhash == before
    assert [path.name for path in dst.parent.iterdir()] == ["Tiny.app"]


def test_signing_again_replaces_the_old_result(unsigned: Path, signer: Portable, tmp_path: Path) -> None:
    dst = tmp_path / "signed" / "Tiny.app"
    signer.sign_app(plan_app(unsigned), unsigned, dst)
    (unsigned / "Contents/Resources/data.txt").write_text("other\n")
    signer.sign_app(plan_app(unsigned), unsigned, dst)
    assert (dst / "Contents/Resources/data.txt").read_text() == "other\n"
    assert verify_app(dst, exact=True).ok


def test_a_signed_app_can_be_signed_again(app: Path, signer: Portable, tmp_path: Path) -> None:
    dst = tmp_path / "again" / "Tiny.app"
    signer.sign_app(plan_app(app), app, dst)
    assert verify_app(dst, exact=True).ok


def test_a_missing_key_is_a_fault(unsigned: Path, tmp_path: Path, identity: Identity) -> None:
    from dataclasses import replace

    it = Portable(replace(identity, key_file=tmp_path / "gone.pem"), timestamp_url=None, signing_time=MOMENT)
    with pytest.raises(Fault) as caught:
        it.sign_app(plan_app(unsigned), unsigned, tmp_path / "signed" / "Tiny.app")
    assert caught.value.status == Exit.SIGN


def test_a_source_that_is_not_there_is_a_fault(tmp_path: Path, signer: Portable) -> None:
    with pytest.raises(Fault):
        signer.sign_app(Plan(()), tmp_path / "absent.app", tmp_path / "signed.app")
    with pytest.raises(Fault):
        signer.sign_image(tmp_path / "absent.dmg", tmp_path / "signed.dmg", identifier="x")
    assert list(tmp_path.iterdir()) == []
