from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import apple_platform
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from errors import Exit, Fault
from signing.identity import Identity, from_p12, load, throwaway
from signing.portable import Portable
from signing.verify import verify_macho
from tests.signing import machos
from tests.signing.conftest import MOMENT

PASSWORD = "tiny password"


def private_key(identity: Identity) -> pkcs12.PKCS12PrivateKeyTypes:
    return serialization.load_pem_private_key(identity.key_file.read_bytes(), None)  # type: ignore[return-value]


def archive(identity: Identity, encryption: serialization.KeySerializationEncryption) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"tiny", private_key(identity), identity.certificate, None, encryption
    )


def modern(identity: Identity) -> bytes:
    return archive(identity, serialization.BestAvailableEncryption(PASSWORD.encode()))


def triple_des(identity: Identity) -> bytes:
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(PASSWORD.encode())
    )
    return archive(identity, encryption)


def rc2(identity: Identity) -> bytes:
    """What Keychain Access and old tools write: certificates under 40-bit RC2."""
    pem = identity.key_file.read_text()
    key, _, rest = pem.partition("-----END PRIVATE KEY-----\n")
    return apple_platform.certificates.create_p12(
        certificate_pem=rest, private_key_pem=key + "-----END PRIVATE KEY-----\n", password=PASSWORD
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_throwaway_identity_is_made_once_and_private(tmp_path: Path) -> None:
    first = throwaway(tmp_path / "keys", name="Tiny Company", team_id="TINYTEAM12")
    assert first.name == "Developer ID Application: Tiny Company (TINYTEAM12)"
    assert mode(first.key_file) == 0o600
    assert mode(tmp_path / "keys") == 0o700
    assert throwaway(tmp_path / "keys", name="Tiny Company", team_id="TINYTEAM12") == first
    assert throwaway(tmp_path / "keys", name="Tiny Company", team_id="OTHERTEAM1") != first


def test_an_identity_left_readable_is_closed_again(tmp_path: Path) -> None:
    it = throwaway(tmp_path, name="Tiny", team_id="TINYTEAM12")
    it.key_file.chmod(0o644)
    throwaway(tmp_path, name="Tiny", team_id="TINYTEAM12")
    assert mode(it.key_file) == 0o600


def test_all_who_ask_at_once_get_the_same_identity(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: throwaway(tmp_path, name="Tiny", team_id="TINYTEAM12"), range(8)))
    assert len({each.certificate_pem for each in made}) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_tools_take_it_for_a_developer_id(identity: Identity) -> None:
    facts = apple_platform.certificates.analyze(identity.certificate_pem)
    assert facts["guessed_profile"] == "DeveloperIdApplication"
    assert facts["team_id"] == "TINYTEAM12"
    assert not facts["signed_by_apple"]


def test_a_fixed_time_fits_into_its_life(identity: Identity) -> None:
    assert identity.certificate.not_valid_before_utc < datetime(2020, 1, 2, tzinfo=UTC)
    assert identity.certificate.not_valid_after_utc > datetime(2049, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("pack", [modern, triple_des, rc2])
def test_unlocks_every_kind_of_archive(pack, identity: Identity, tmp_path: Path) -> None:
    it = from_p12(pack(identity), PASSWORD, tmp_path / "keys")
    assert (it.name, it.team_id) == (identity.name, "TINYTEAM12")
    assert it.certificate_pem == identity.certificate_pem
    assert mode(it.key_file) == 0o600
    source = machos.write(tmp_path / "tiny", machos.macho())
    Portable(it, timestamp_url=None, signing_time=MOMENT).sign_image(
        source, tmp_path / "signed", identifier="tiny"
    )
    assert verify_macho(tmp_path / "signed", trust=identity.certificate_pem).ok


@pytest.mark.parametrize("pack", [modern, triple_des, rc2])
def test_a_wrong_password_is_called_one(pack, identity: Identity, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="password is wrong") as caught:
        from_p12(pack(identity), "another", tmp_path)
    assert caught.value.status == Exit.SECRET
    assert "another" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"not an archive", b"\x30\x03\x02\x01\x03"])
def test_what_is_no_archive_is_called_none(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"is not a \.p12"):
        from_p12(data, PASSWORD, tmp_path)


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (datetime(2050, 2, 1, tzinfo=UTC), "expired on 2049-12-31"),
        (datetime(2019, 1, 1, tzinfo=UTC), "is not valid before 2020-01-01"),
    ],
)
def test_a_certificate_out_of_its_time_is_refused(
    now: datetime, what: str, identity: Identity, tmp_path: Path
) -> None:
    with pytest.raises(Fault, match=what) as caught:
        from_p12(modern(identity), PASSWORD, tmp_path, now=now)
    assert caught.value.status == Exit.SECRET


def test_an_archive_without_a_key_is_refused(identity: Identity, tmp_path: Path) -> None:
    data = pkcs12.serialize_key_and_certificates(
        None, None, None, [identity.certificate], serialization.BestAvailableEncryption(PASSWORD.encode())
    )
    with pytest.raises(Fault, match="no private key"):
        from_p12(data, PASSWORD, tmp_path)


@pytest.mark.parametrize(
    "content", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_identity_file_is_a_fault(content: str, tmp_path: Path) -> None:
    (tmp_path / "identity.pem").write_text(content)
    with pytest.raises(Fault) as caught:
        load(tmp_path / "identity.pem")
    assert caught.value.status == Exit.SECRET


def test_a_certificate_alone_is_no_identity(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "identity.pem").write_bytes(identity.certificate_pem)
    with pytest.raises(Fault, match="no private key"):
        load(tmp_path / "identity.pem")


def test_the_key_is_not_in_the_identitys_text(identity: Identity) -> None:
    secret = identity.key_file.read_text().splitlines()[2]
    assert secret not in repr(identity)
    assert "PRIVATE" not in repr(identity)
