"""The steps as they run on a Mac: what they ask macOS after signing and stapling, and when they don't."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands import Result
from errors import Exit, Fault
from release import config as configuration
from release import report, verify_mac
from release.credentials import needed_keys
from release.places import places
from release.services import Services
from release.steps import sign
from release.version import Version
from signing import entitlements
from signing.notarytool import KeychainProfile, KeyFile, Notarytool
from signing.staple import staple_image
from tests.standins import signed
from tests.standins.authority import TEAM
from tests.standins.commands import Recorder
from tests.standins.security import Security

ROOT = Path(__file__).resolve().parents[2]
IMAGE, APP = Path("/x/A.dmg"), Path("/x/A.app")
VERIFY = ("codesign", "--verify", "--deep", "--strict", "--verbose=2")


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")


def job(runner: Recorder, folder: Path, *, arch: str = "arm64", rehearsal: bool = False) -> Any:
    where = SimpleNamespace(
        app=APP, signed_image=folder / "signed.dmg", image=folder / "A.dmg", image_name="A.dmg"
    )
    return SimpleNamespace(
        places=where,
        config=SimpleNamespace(app=SimpleNamespace(arch=arch), rehearsal=rehearsal),
        services=SimpleNamespace(runner=runner, staples_natively=not rehearsal, trust=None),
    )


def bun_report() -> Any:
    one = SimpleNamespace(subject=sign.BUN, entitlements=entitlements.JIT)
    return SimpleNamespace(walk=lambda: iter([one]))


@pytest.mark.usefixtures("mac")
def test_after_signing_codesign_is_asked_and_bun_is_run(tmp_path: Path) -> None:
    runner = Recorder(lambda argv: Result(argv, 0, b"1.4.5\n"))
    assert sign._try(job(runner, tmp_path), bun_report()) == "Bun 1.4.5 runs"
    assert runner.calls[:2] == [(*VERIFY, str(APP)), (str(APP / sign.BUN), "--version")]


@pytest.mark.usefixtures("mac")
def test_a_bun_for_another_processor_is_not_run(tmp_path: Path) -> None:
    runner = Recorder()
    said = sign._try(job(runner, tmp_path, arch="x86_64"), bun_report())
    assert said == "Bun not run: it is for x86_64, this Mac is arm64"
    assert runner.calls == [(*VERIFY, str(APP))]
    assert "runs" in sign._try(job(runner, tmp_path, arch="universal2"), bun_report())


@pytest.mark.usefixtures("mac")
def test_what_codesign_refuses_goes_no_further(tmp_path: Path) -> None:
    said = b"A.app: a sealed resource is missing or invalid\n"
    runner = Recorder(lambda argv: Result(argv, 1, stderr=said))
    with pytest.raises(Fault, match=r"macOS refuses it \(codesign, app\)") as caught:
        sign._try(job(runner, tmp_path), bun_report())
    assert caught.value.status == Exit.SIGNATURE and len(runner.calls) == 1
    assert caught.value.details == ("A.app: a sealed resource is missing or invalid",)


def test_elsewhere_it_is_said_that_bun_did_not_run(tmp_path: Path) -> None:
    runner = Recorder()
    assert sign._try(job(runner, tmp_path), bun_report()) == "Bun not run: this is no Mac"
    assert runner.calls == []


@pytest.mark.usefixtures("mac")
def test_after_stapling_the_ticket_and_gatekeeper_are_asked(tmp_path: Path) -> None:
    signed.signer(tmp_path, None).sign_image(
        signed.blank_image(tmp_path / "blank.dmg"), tmp_path / "signed.dmg", identifier="x"
    )

    def reply(argv: tuple[str, ...]) -> None:
        if argv[:3] == ("xcrun", "stapler", "staple"):
            staple_image(Path(argv[3]), Path(argv[3]), b"a ticket")

    runner = Recorder(reply)
    facts = sign._staple_run(job(runner, tmp_path), lambda *_: None)
    image = str(tmp_path / "A.dmg")
    assert facts["ticket"] == len(b"a ticket")
    assert [call[:3] for call in runner.calls[:1]] == [("xcrun", "stapler", "staple")]
    gate = ("spctl", "--assess", "--type", "open", "--context", "context:primary-signature", "--verbose")
    assert runner.calls[1:] == [("xcrun", "stapler", "validate", image), (*gate, image)]


@pytest.mark.usefixtures("mac")
@pytest.mark.parametrize("refusing", ["stapler", "spctl"])
def test_what_gatekeeper_refuses_is_not_published(refusing: str, tmp_path: Path) -> None:
    said = Result((), 3, stderr=b"A.dmg: rejected\nsource=Unnotarized Developer ID\n")
    runner = Recorder(lambda argv: said if refusing in argv[:2] else None)
    questions = (verify_mac.stapled(IMAGE), verify_mac.gatekeeper(IMAGE))
    with pytest.raises(Fault, match="macOS refuses it") as caught:
        for question in questions:
            verify_mac.require(question, runner=runner)
    assert "Unnotarized" in str(caught.value) and "nothing has been published" in str(caught.value.cure)


def test_gatekeeper_is_asked_as_if_somebody_opened_it() -> None:
    assert verify_mac.gatekeeper(APP)[1] == ("spctl", "--assess", "--type", "execute", "--verbose", APP)
    assert verify_mac.codesign(IMAGE)[1] == ("codesign", "--verify", "--strict", "--verbose=2", IMAGE)
    asked = [name for name, _ in verify_mac.questions(IMAGE, APP, apple=False)]
    assert asked == ["hdiutil verify", "codesign, image", "codesign, app"]


def test_the_report_says_what_nobody_has_checked() -> None:
    elsewhere = " ".join(report.not_checked(rehearsal=False, mac=False))
    assert "codesign" in elsewhere and "Gatekeeper" in elsewhere and "Bun" in elsewhere
    assert report.not_checked(rehearsal=False, mac=True) == ()
    rehearsed = " ".join(report.not_checked(rehearsal=True, mac=True))
    assert "Apple itself" in rehearsed and "Bun" not in rehearsed


# notarytool's credentials, from release.toml


def services(folder: Path, runner: Security, **changes: str) -> Services:
    settings = {f"profiles.production.notary.{key}": f'"{value}"' for key, value in changes.items()}
    config = configuration.load(ROOT, "production", overrides=settings)
    return Services(config, places(config, Version("1", "1", 0), folder / "dist"), runner, 0)


@pytest.fixture
def tool(tmp_path: Path, mac: None, monkeypatch: pytest.MonkeyPatch) -> Security:
    for name in ("APPLE_NOTARY_PRIVATE_KEY", "APPLE_NOTARY_KEY_ID", "APPLE_NOTARY_ISSUER", "APPLE_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APPLE_TEAM_ID", TEAM)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "keychains").mkdir()
    return Security(tmp_path / "keychains", stdout={"xcrun": b"Credentials saved to Keychain.\n"})


def credentials(outside: Services) -> object:
    notary = outside.notary()
    assert isinstance(notary, Notarytool)
    return notary._credentials


def test_a_keychain_profile(tmp_path: Path, tool: Security) -> None:
    with services(tmp_path, tool, keychain_profile="release") as outside:
        assert outside.notarizes_natively
        assert credentials(outside) == KeychainProfile("release")
    needed = needed_keys(outside.config, natively=True)
    assert not [key for key in needed if key.startswith("notary.")]


def test_an_api_key(tmp_path: Path, tool: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"
    for name, value in (("PRIVATE_KEY", pem), ("KEY_ID", "KEYID12345"), ("ISSUER", "an-issuer")):
        monkeypatch.setenv(f"APPLE_NOTARY_{name}", value)
    with services(tmp_path, tool, way="native") as outside:
        found = credentials(outside)
        assert isinstance(found, KeyFile)
        assert (found.key_id, found.issuer) == ("KEYID12345", "an-issuer")
        assert found.path.read_text() == pem + "\n"
        assert found.path.stat().st_mode & 0o777 == 0o600
    assert not found.path.exists()
    needed = needed_keys(outside.config, natively=True)
    assert {"notary.private_key", "notary.key_id", "notary.issuer"} <= set(needed)
    assert "notary.password" not in needed


def test_an_apple_id(tmp_path: Path, tool: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLE_ID", "somebody@example.test")
    monkeypatch.setenv("APPLE_APP_PASSWORD", "abcd-efgh-ijkl")
    with services(tmp_path, tool) as outside:
        assert outside.notarizes_natively
        found = credentials(outside)
        assert isinstance(found, KeychainProfile) and found.keychain is not None
        assert str(found.keychain) in tool.state["keychains"]
        assert credentials(outside) == found, "stored once"
    stored = [call for call in tool.calls if "store-credentials" in call]
    names = ("--apple-id", "somebody@example.test", "--team-id", TEAM, "--keychain", str(found.keychain))
    assert stored == [("xcrun", "notarytool", "store-credentials", found.name, *names)]
    assert b"abcd-efgh-ijkl\n" in tool.stdins
    assert not any("abcd-efgh-ijkl" in word for call in tool.calls for word in call)
    assert str(found.keychain) not in tool.state["keychains"]
    assert set(needed_keys(outside.config, natively=True)) >= {"notary.apple_id", "notary.password"}
