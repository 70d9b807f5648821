from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from release.rehearsal.apple import AppleStandIn
from signing import cms, macho, superblob
from signing.identity import Identity, throwaway
from signing.portable import Portable
from signing.superblob import CodeDirectory
from tests.signing import machos
from tests.signing.changes import MASKS, unnoticed
from tests.signing.conftest import MOMENT


@dataclass(frozen=True)
class Signed:
    data: bytes
    directories: tuple[CodeDirectory, ...]

    def verify(self, data: bytes | None = None) -> cms.Signature:
        return cms.verify(self.data if data is None else data, self.directories)


def signed(path: Path) -> Signed:
    part = macho.read(path)[0]
    place = part.signature()
    assert place
    blob = superblob.parse(part.data[place[0] : sum(place)])
    return Signed(blob.payload(superblob.SLOT_CMS) or b"", blob.directories())


def sign(folder: Path, identity: Identity, **options: object) -> Signed:
    source = machos.write(folder / "tiny", machos.macho(minimum=(10, 9)))
    settings = {"timestamp_url": None, "signing_time": MOMENT, **options}
    Portable(identity, **settings).sign_image(source, folder / "signed", identifier="tiny")  # type: ignore[arg-type]
    return signed(folder / "signed")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, identity: Identity) -> Signed:
    """A signature without a timestamp, over two directories."""
    return sign(tmp_path_factory.mktemp("plain"), identity)


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory, identity: Identity) -> Iterator[Signed]:
    folder = tmp_path_factory.mktemp("stamped")
    with AppleStandIn(folder / "apple", epoch=MOMENT.timestamp()) as apple:
        yield sign(folder, identity, timestamp_url=apple.timestamp_url)


def test_accepts_a_self_signed_identity(plain: Signed, identity: Identity) -> None:
    found = plain.verify()
    assert found.problems == ()
    assert found.chain == (identity.certificate,)
    assert (found.team_id, found.signing_time, found.timestamp) == ("TINYTEAM12", MOMENT, None)


def test_accepts_a_timestamp_over_the_signature(stamped: Signed) -> None:
    found = stamped.verify()
    assert found.problems == ()
    assert found.timestamp is not None
    assert found.timestamp.time == MOMENT


def test_notices_another_directory(plain: Signed) -> None:
    first, second = plain.directories
    assert cms.verify(plain.data, (second, first)).problems == ("the CMS signature is for other content",)
    assert "other code directories" in cms.verify(plain.data, (first,)).problems[0]
    forged = superblob.directory(memoryview(bytes(second.data).replace(b"tiny\0", b"tyni\0")))
    assert "other code directories" in cms.verify(plain.data, (first, forged)).problems[0]


def test_notices_changes_of_the_signature(plain: Signed) -> None:
    step = 7
    every = range(hashlib.sha256(plain.data).digest()[0] % step, len(plain.data), step)
    assert unnoticed(plain.data, lambda data: not plain.verify(data).problems, every) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "stamped"])
def test_notices_a_change_of_any_byte_of_the_signature(kind: str, request: pytest.FixtureRequest) -> None:
    it: Signed = request.getfixturevalue(kind)

    def holds(data: bytes) -> bool:
        found = it.verify(data)
        return not found.problems and (kind == "plain" or found.timestamp is not None)

    assert unnoticed(it.data, holds, range(len(it.data)), lambda position: MASKS) == []


def test_says_so_if_it_cannot_be_read(plain: Signed) -> None:
    for data in (b"\x30", b"\x30\x80", bytes(100), plain.data[:-1], plain.data + b"\0", b"\x30\x80" * 5000):
        assert plain.verify(data).problems, data[:20]
    assert "size" in plain.verify(bytes(2 << 20)).problems[0]


def change(data: bytes, edit: object) -> bytes:
    """Re-encode a CMS after `edit(signed_data)`."""
    outer = asn1.ContentInfo.load(data)
    edit(outer["content"])  # type: ignore[operator]
    return bytes(outer.dump(force=True))


def test_notices_a_certificate_too_many(plain: Signed, tmp_path: Path) -> None:
    other = throwaway(tmp_path, name="Other", team_id="OTHERTEAM1").certificate
    der = other.public_bytes(serialization.Encoding.DER)

    def add(content: asn1.SignedData) -> None:
        content["certificates"].append(asn1.CertificateChoices("certificate", asn1.Certificate.load(der)))

    assert "not part of its chain" in plain.verify(change(plain.data, add)).problems[0]


def test_notices_a_missing_certificate(plain: Signed) -> None:
    def remove(content: asn1.SignedData) -> None:
        content["certificates"] = asn1.CertificateSet([])

    assert "does not carry" in plain.verify(change(plain.data, remove)).problems[0]


def test_notices_a_timestamp_of_another_signature(stamped: Signed) -> None:
    signer = asn1.ContentInfo.load(stamped.data)["content"]["signer_infos"][0]
    token, signature = signer["unsigned_attrs"][0]["values"][0].dump(), signer["signature"].native
    assert cms.check_timestamp(token, signature).time == MOMENT
    with pytest.raises(cms.Untrue, match="it is for another signature"):
        cms.check_timestamp(token, signature[:-1] + b"x")


def test_notices_a_time_outside_of_the_certificates_life(tmp_path: Path, identity: Identity) -> None:
    found = sign(tmp_path, identity, signing_time=datetime(2019, 1, 1, tzinfo=UTC)).verify()
    assert "was not valid at 2019-01-01" in found.problems[0]


# --- a chain with an authority in between, as Apple's


def certificate(
    name: str,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    issuer: tuple[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey],
    *,
    ca: bool,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
) -> x509.Certificate:
    def title(value: str) -> x509.Name:
        unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "TINYTEAM12")
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value), unit])

    builder = (
        x509.CertificateBuilder()
        .subject_name(title(name))
        .issuer_name(title(issuer[0]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(issuer[1], hashes.SHA256())


def chained(
    folder: Path, *, ca: bool = True, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING
) -> Identity:
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    leaf_key = rsa.generate_private_key(65537, 2048)
    root = certificate("Root", keys[0], ("Root", keys[0]), ca=True)
    middle = certificate("Middle", keys[1], ("Root", keys[0]), ca=ca)
    leaf = certificate("Leaf", leaf_key, ("Middle", keys[1]), ca=False, usage=usage)
    pem = serialization.Encoding.PEM
    private = leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    machos.write(folder / "leaf.pem", private + leaf.public_bytes(pem))
    machos.write(folder / "middle.pem", middle.public_bytes(pem))
    machos.write(folder / "root.pem", root.public_bytes(pem))
    files = (folder / "middle.pem", folder / "root.pem")
    return Identity("Leaf", "TINYTEAM12", leaf.public_bytes(pem), folder / "leaf.pem", files)


def test_follows_a_chain_to_its_root(tmp_path: Path) -> None:
    it = sign(tmp_path, chained(tmp_path / "keys"))
    found = it.verify()
    assert found.problems == ()
    names = [each.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for each in found.chain]
    assert names == ["Leaf", "Middle", "Root"]


def test_an_issuer_has_to_be_an_authority(tmp_path: Path) -> None:
    it = sign(tmp_path, chained(tmp_path / "keys", ca=False))
    assert "no certificate here issued the certificate “Leaf”" in it.verify().problems[0]


def test_a_leaf_has_to_be_for_code(tmp_path: Path) -> None:
    it = sign(tmp_path, chained(tmp_path / "keys", usage=ExtendedKeyUsageOID.SERVER_AUTH))
    assert it.verify().problems == ("the certificate “Leaf” is not meant for code signing",)
