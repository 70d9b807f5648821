"""Who may sign a release: what is wrong with a certificate or a key stops it before anything is built."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from errors import Exit, Fault
from release import config as configuration
from release.places import places
from release.progress import Plain
from release.run import Options, release
from release.services import Services
from release.version import Version
from signing import certificate, eddsa
from signing.certificate import fingerprint
from signing.identity import throwaway
from tests.standins.authority import PASSWORD, TEAM, Issued, issue
from tests.standins.repository import Repository, repository
from tests.standins.security import Security

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime.now(UTC)
SIGNING = "profiles.rehearsal.signing."


def overrides(**changes: str) -> dict[str, str]:
    """A rehearsal that signs with the .p12 in the environment."""
    wanted = {
        "certificate": "env:TEST_CERTIFICATE",
        "certificate_password": "env:TEST_PASSWORD",
        "team_id": TEAM,
        "name": "Developer ID Application",
        **changes,
    }
    return {f"{SIGNING}{key}": f'"{value}"' for key, value in wanted.items()}


def set_p12(patch: pytest.MonkeyPatch, archive: bytes, password: str = PASSWORD) -> None:
    patch.setenv("TEST_CERTIFICATE", base64.b64encode(archive).decode())
    patch.setenv("TEST_PASSWORD", password)


@pytest.fixture
def checkout(tmp_path: Path) -> Repository:
    return repository(tmp_path / "checkout")


def refusal(checkout: Repository, settings: dict[str, str], profile: str = "rehearsal") -> Fault:
    with pytest.raises(Fault) as caught:
        release(checkout.root, Options(profile, overrides=settings), Plain(io.StringIO()))
    assert not list((checkout.root / "dist").glob("*/work/*")), "something was built before it was refused"
    return caught.value


CASES = {
    "expired": (issue(end=NOW - timedelta(days=3)), {}, "expired on", "make a new Developer ID"),
    "not yet valid": (issue(start=NOW + timedelta(days=3)), {}, "not valid before", "clock"),
    "another team's": (issue(team="OTHERTEAM1"), {}, "is of team OTHERTEAM1", "signing.team_id"),
    "another name": (issue(), {"name": "Somebody Else"}, "asks for “Somebody Else”", "signing.name"),
    "not for code": (issue(code=False), {}, "not for signing code", "Developer ID Application"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_certificate_that_will_not_do_is_refused_first(
    case: str, checkout: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, changes, what, cure = CASES[case]
    set_p12(monkeypatch, issued.p12())
    fault = refusal(checkout, overrides(**changes))
    assert what in fault.what and cure in str(fault.cure)
    assert fault.status == Exit.SECRET


def test_a_wrong_password_and_damaged_base64(checkout: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    set_p12(monkeypatch, issue().p12(), "not the password")
    fault = refusal(checkout, overrides())
    assert "password is wrong" in fault.what and "not the password" not in str(fault)
    monkeypatch.setenv("TEST_CERTIFICATE", "%%%")
    fault = refusal(checkout, overrides())
    assert "not base64" in fault.what and fault.status == Exit.SECRET


def test_the_command_ends_with_the_status_and_no_traceback(
    checkout: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_p12(monkeypatch, issue(end=NOW - timedelta(days=3)).p12())
    wishes = [word for pair in overrides().items() for word in ("--set", "=".join(pair))]
    words = [sys.executable, "-m", "invoke", "release", *wishes, "--dist", str(checkout.root / "dist")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == Exit.SECRET
    assert "expired on" in done.stderr and "→ make a new" in done.stderr and "Traceback" not in done.stderr


def test_the_private_key_has_to_fit_the_public_one(checkout: Repository) -> None:
    key = checkout.root / "dist" / "rehearsal" / "ed25519.key"
    key.parent.mkdir(parents=True)
    eddsa.generate(key)
    other = base64.b64encode(bytes(32)).decode()
    fault = refusal(checkout, {"profiles.rehearsal.sparkle.public_key": f'"{other}"'})
    assert f"installed apps trust {other}" in fault.what and "right key" in str(fault.cure)
    assert fault.status == Exit.SECRET


@pytest.mark.parametrize(
    ("days", "said"), [(400, None), (31, None), (29, "in 29 days"), (0.5, "in 0 days"), (-2, "expired on")]
)
def test_one_that_ends_soon_is_a_warning(days: float, said: str | None) -> None:
    leaf = issue(end=NOW + timedelta(days=days, minutes=1)).leaf
    warning = certificate.expiry_warning(leaf, NOW)
    assert (warning is None) if said is None else (said in str(warning))


# production


def services(
    root: Path, profile: str = "production", runner: Security | None = None, **changes: str
) -> Services:
    settings = {
        f"profiles.{profile}.{key.replace('__', '.')}": f'"{value}"' for key, value in changes.items()
    }
    config = configuration.load(ROOT, profile, overrides=settings)
    where = places(config, Version("1.0", "1", 0), root / "dist")
    return Services(config, where, runner or Security(root), 0)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Issued:
    issued = issue()
    monkeypatch.setenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", base64.b64encode(issued.p12()).decode())
    monkeypatch.setenv("MACOS_DEVELOPER_ID_CERTIFICATE_PASSWORD", PASSWORD)
    monkeypatch.setenv("MACOS_CODE_SIGN_IDENTITY", issued.name)
    monkeypatch.setenv("APPLE_TEAM_ID", TEAM)
    return issued


def test_production_takes_no_throwaway_identity(
    tmp_path: Path, environment: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = throwaway(tmp_path / "keys", name="Somebody", team_id=TEAM)
    archive = self_signed_p12(made.key_file)
    monkeypatch.setenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", base64.b64encode(archive).decode())
    monkeypatch.setenv("MACOS_CODE_SIGN_IDENTITY", made.name)
    with services(tmp_path) as outside, pytest.raises(Fault, match="throwaway") as caught:
        _ = outside.certificate
    assert caught.value.status == Exit.SECRET and "Apple" in str(caught.value.cure)


def self_signed_p12(pem: Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        load_pem_private_key,
        pkcs12,
    )

    data = pem.read_bytes()
    key, leaf = load_pem_private_key(data, None), x509.load_pem_x509_certificates(data)[0]
    return pkcs12.serialize_key_and_certificates(
        b"x", key, leaf, None, BestAvailableEncryption(PASSWORD.encode())  # type: ignore[arg-type]
    )  # fmt: skip


def test_off_a_mac_it_signs_with_the_p12_and_its_chain(tmp_path: Path, environment: Issued) -> None:
    with services(tmp_path) as outside:
        assert outside.certificate == environment.leaf
        assert not outside.signs_natively
        assert len(outside.identity.chain_files) == 2
        assert outside.identity.key_file.stat().st_mode & 0o777 == 0o600
        kept = outside.identity.key_file
    assert not kept.exists(), "the key outlives the release"


def test_a_chain_can_be_a_file_of_its_own(
    tmp_path: Path, environment: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely = base64.b64encode(environment.p12(chain=False)).decode()
    monkeypatch.setenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", lonely)
    from cryptography.hazmat.primitives.serialization import Encoding

    path = tmp_path / "DeveloperIDG2CA.cer"
    path.write_bytes(environment.intermediate.public_bytes(Encoding.DER))
    with services(tmp_path, signing__chain=str(path)) as outside:
        (issuer,) = outside.identity.chain_files
        assert b"BEGIN CERTIFICATE" in issuer.read_bytes()
    with (
        services(tmp_path, signing__chain=str(tmp_path / "absent")) as outside,
        pytest.raises(Fault) as caught,
    ):
        _ = outside.identity
    assert "signing.chain cannot be read" in caught.value.what and caught.value.status == Exit.SECRET


# on a Mac


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Security:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "keychains").mkdir()
    return Security(tmp_path / "keychains")


def test_on_a_mac_codesign_gets_a_keychain_of_its_own(
    tmp_path: Path, environment: Issued, mac: Security
) -> None:
    with services(tmp_path, runner=mac) as outside:
        (tmp_path / "a.dmg").write_bytes(b"image")
        outside.signer().sign_image(tmp_path / "a.dmg", tmp_path / "b.dmg", identifier="x")
        keychain = outside.keychain
        assert keychain is not None and str(keychain) in mac.state["keychains"]
    signed = next(call for call in mac.calls if call[0] == "codesign")
    sha1 = fingerprint(environment.leaf)
    start = ("codesign", "--force", "--sign", sha1, "--keychain", str(keychain), "--timestamp")
    assert signed[:7] == start
    assert str(keychain) not in mac.state["keychains"] and not keychain.exists()


def test_without_a_p12_the_macs_own_keychains_sign(
    tmp_path: Path, environment: Issued, mac: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64")
    has_in_login_keychain(mac, environment)
    with services(tmp_path, runner=mac) as outside:
        assert outside.certificate == environment.leaf
        assert outside.trust == environment.leaf_pem
        assert outside.keychain is None
        (tmp_path / "a.dmg").write_bytes(b"image")
        outside.signer().sign_image(tmp_path / "a.dmg", tmp_path / "b.dmg", identifier="x")
    assert mac.calls[:2] == [
        ("security", "find-identity", "-v", "-p", "codesigning"),
        ("security", "find-certificate", "-a", "-p", "-c", environment.name),
    ]
    sha1 = fingerprint(environment.leaf)
    assert mac.calls[-1][:5] == ("codesign", "--force", "--sign", sha1, "--timestamp")
    assert len(mac.calls) == 3, "no keychain is made"


def has_in_login_keychain(mac: Security, *owners: Issued) -> None:
    from tests.standins.security import LOGIN

    state = mac.state
    for one in owners:
        sha1 = fingerprint(one.leaf)
        state["keychains"][LOGIN]["identities"][sha1] = {"name": one.name, "chained": True}
        state["keychains"][LOGIN]["pem"][sha1] = one.leaf_pem.decode()
    mac.keep(state)


def test_two_identities_of_one_name_have_to_be_told_apart(
    tmp_path: Path, environment: Issued, mac: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64")
    other = issue()
    has_in_login_keychain(mac, environment, other)
    with services(tmp_path, runner=mac) as outside, pytest.raises(Fault, match="2 identities") as caught:
        _ = outside.certificate
    assert fingerprint(other.leaf) in str(caught.value) and "SHA-1" in str(caught.value.cure)
    monkeypatch.setenv("MACOS_CODE_SIGN_IDENTITY", fingerprint(other.leaf))
    with services(tmp_path, runner=mac) as outside:
        assert outside.certificate == other.leaf


def test_an_empty_keychain_is_said(
    tmp_path: Path, environment: Issued, mac: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64")
    with services(tmp_path, runner=mac) as outside, pytest.raises(Fault, match="no identities") as caught:
        _ = outside.certificate
    assert caught.value.status == Exit.SECRET and ".p12" in str(caught.value.cure)
