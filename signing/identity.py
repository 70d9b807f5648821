"""Who signs: a certificate and its private key, which never leaves a file that only its owner may read."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.certificate import BadIdentity, chain_of, name_of, require_usable, team_of

DEVELOPER_ID_APPLICATION = x509.ObjectIdentifier("1.2.840.113635.100.6.1.13")
_PREFIX = "Developer ID Application: "
_DER_NULL = b"\x05\x00"
_VALID_FROM, _VALID_UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
_SIGNATURES_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A signing identity. `name` is the certificate's common name, as codesign and the Keychain know it.

    `certificate_pem` is the leaf; `key_file` a PEM file of mode 0600 that holds the private key and the leaf;
    `chain_files` PEM files of the certificates above the leaf.
    """

    name: str
    team_id: str
    certificate_pem: bytes
    key_file: Path
    chain_files: tuple[Path, ...] = ()

    @property
    def certificate(self) -> x509.Certificate:
        """The leaf, parsed."""
        return x509.load_pem_x509_certificate(self.certificate_pem)


def throwaway(folder: Path, *, name: str, team_id: str) -> Identity:
    """Return the self-signed identity kept in `folder` under that name and team, made if there is none yet.

    It looks like a Developer ID certificate to every tool, and like nobody's to Apple. It is valid from 2020
    to 2049, so that a fixed signing time fits. Two processes asking at once get the same one.
    """
    private_folder(folder)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "identity"
    path = folder / f"{slug}-{team_id.lower()}.pem"
    if not path.exists():
        _publish(_self_signed(name, team_id), path)
    return load(path)


def load(path: Path) -> Identity:
    """Read an identity from a PEM file with a private key, its certificate, and any certificates above it."""
    data = _read(path)
    try:
        leaf, *chain = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise BadIdentity(
            "there is no usable certificate in it", where=path, cure="remove the file to have it made again"
        ) from error
    if b"PRIVATE KEY-----" not in data:
        raise BadIdentity("there is no private key in it", where=path, cure="remove the file")
    if chain:
        raise BadIdentity("more than one certificate is in it", where=path, cure="remove the file")
    path.chmod(0o600)
    return _identity(leaf, path, ())


def from_p12(data: bytes, password: str, folder: Path, *, now: datetime | None = None) -> Identity:
    """Unlock a PKCS#12 archive, old (RC2, 3DES) or new (AES), and keep it in `folder` as private PEM files.

    The engine that signs reads only the old kinds. BadIdentity says which of these it is: not an archive,
    wrong password, no key, no certificate for signing code, expired or not yet valid at `now`.
    """
    unlocked = unlock(data, password)
    require_usable(unlocked.leaf, now or datetime.now(UTC))
    return keep(unlocked, folder)


@dataclass(frozen=True, slots=True)
class Unlocked:
    """What a .p12 holds: a private key, its certificate, and those above it as far as they are there."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)
    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]


def unlock(data: bytes, password: str, *, known: Iterable[x509.Certificate] = ()) -> Unlocked:
    """Open a PKCS#12 archive of any kind in memory; `known` certificates complete its chain. See from_p12."""
    key, leaf, others = _unlock(data, password)
    return Unlocked(key, leaf, chain_of(leaf, (*others, *known)))


def keep(unlocked: Unlocked, folder: Path) -> Identity:
    """Write what was unlocked into `folder` as private PEM files."""
    private_folder(folder)
    leaf, stem = unlocked.leaf, unlocked.leaf.fingerprint(hashes.SHA256()).hex()[:16]
    private = unlocked.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{stem}.pem"
    _publish(private + leaf.public_bytes(Encoding.PEM), path)
    files = tuple(folder / f"{stem}-issuer-{number}.pem" for number, _ in enumerate(unlocked.chain, 1))
    for file, certificate in zip(files, unlocked.chain, strict=True):
        _publish(certificate.public_bytes(Encoding.PEM), file)
    return _identity(leaf, path, files)


def old_style_p12(unlocked: Unlocked, password: str) -> bytes:
    """Pack it again as every macOS reads it: 3DES under a SHA-1 MAC.

    `security import` knows nothing newer on many systems, and says "MAC verification failed" for AES.
    """
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303 - what the reader knows
        .build(password.encode())
    )
    name = name_of(unlocked.leaf).encode()
    return pkcs12.serialize_key_and_certificates(
        name, unlocked.key, unlocked.leaf, unlocked.chain or None, encryption
    )


def private_folder(folder: Path) -> None:
    """Make `folder`, for its owner's eyes only."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise BadIdentity(
            f"the folder for keys cannot be made: {error.strerror or error}",
            where=folder,
            cure="check its owner and the free space",
        ) from error


def _publish(data: bytes, path: Path) -> None:
    """Put `data` at `path` whole and private; if another process was faster, its file stays."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".identity-")  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadIdentity(f"cannot be read: {error.strerror or error}", where=path) from error


def _identity(leaf: x509.Certificate, path: Path, chain: tuple[Path, ...]) -> Identity:
    return Identity(
        name=name_of(leaf),
        team_id=team_of(leaf),
        certificate_pem=leaf.public_bytes(Encoding.PEM),
        key_file=path,
        chain_files=chain,
    )


def _self_signed(name: str, team_id: str) -> bytes:
    """Make key and certificate in PEM, with the extensions of a Developer ID Application certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    common = name if name.startswith(_PREFIX) else f"{_PREFIX}{name} ({team_id})"
    parts = (
        (NameOID.USER_ID, team_id),
        (NameOID.COMMON_NAME, common[:64]),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, team_id),
        (NameOID.ORGANIZATION_NAME, name[:64]),
    )
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNATURES_ONLY, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=True)
        .add_extension(x509.UnrecognizedExtension(DEVELOPER_ID_APPLICATION, _DER_NULL), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _unlock(data: bytes, password: str) -> tuple[Any, x509.Certificate, Sequence[x509.Certificate]]:
    if not _is_p12(data):
        raise BadIdentity(
            "the signing identity is not a .p12 (PKCS#12) archive",
            cure="export it from Keychain Access as .p12, and check that it was not damaged on the way",
        )
    try:
        key, leaf, chain = pkcs12.load_key_and_certificates(data, password.encode())
    except ValueError as error:
        raise BadIdentity(
            "the signing identity's password is wrong",
            cure="set the password the .p12 was exported with",
        ) from error
    except UnsupportedAlgorithm as error:
        raise BadIdentity(
            f"the signing identity is encrypted in a way that is not supported: {error}",
            cure="export it again as .p12",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or leaf is None:
        raise BadIdentity(
            "the .p12 has no private key with its certificate",
            cure="in Keychain Access export the certificate together with the key below it",
        )
    return key, leaf, chain


def _is_p12(data: bytes) -> bool:
    try:
        archive = asn1_pkcs12.Pfx.load(data, strict=True)
        return bool(archive["version"].native == "v3")
    except (ValueError, TypeError, KeyError):
        return False
