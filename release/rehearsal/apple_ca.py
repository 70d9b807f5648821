"""The stand-in's own certificate authority, timestamp signer and App Store Connect key, made once per state.

None of it is worth anything outside a rehearsal: the names say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from release.rehearsal.apple_state import once
from signing.notary import ApiKey

# Wide, so that any SOURCE_DATE_EPOCH falls within.
FROM, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, tzinfo=UTC)
ISSUER = "7e4ea45a-1000-4000-8000-000000000001"
KEY_ID = "REHEARSAL1"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """An RSA key with its certificate and its issuer's (RSA PKCS #1 v1.5 signs the same bytes alike)."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    issuer: x509.Certificate


def signer(state: Path) -> Signer:
    """Return what signs timestamps and tickets: made on first use under `state`/ca."""
    folder = state / "ca"
    root_key = _key(folder / "root.key", _new_rsa)
    root = _certificate(folder / "root.pem", root_key, root_key, "Rehearsal Root", "Rehearsal Root")
    key = _key(folder / "timestamp.key", _new_rsa)
    leaf = _certificate(folder / "timestamp.pem", key, root_key, "Rehearsal Timestamps", "Rehearsal Root")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{folder / 'timestamp.key'} is not an RSA key")
    return Signer(key, leaf, root)


def api_key(state: Path) -> ApiKey:
    """Return the App Store Connect key that the stand-in accepts."""
    path = state / "ca" / f"AuthKey_{KEY_ID}.p8"
    _key(path, lambda: ec.generate_private_key(ec.SECP256R1()))
    return ApiKey(ISSUER, KEY_ID, path.read_bytes())


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _key(path: Path, make: Callable[[], Private]) -> Private:
    def pem() -> bytes:
        return make().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    key = serialization.load_pem_private_key(once(path, pem), None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise TypeError(f"{path} holds a key of another kind")
    return key


def _certificate(path: Path, key: Private, issuer: Private, subject: str, issued_by: str) -> x509.Certificate:
    def pem() -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issued_by))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(FROM)
            .not_valid_after(UNTIL)
        )
        for extension, critical in _extensions(subject == issued_by):
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    return x509.load_pem_x509_certificate(once(path, pem))


def _extensions(root: bool) -> list[tuple[x509.ExtensionType, bool]]:
    """Return what makes a root a root, or a timestamp signer one (RFC 3161, 2.3: one usage, critical)."""
    if root:
        return [(x509.BasicConstraints(True, None), True)]
    return [
        (x509.BasicConstraints(False, None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
    ]


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
