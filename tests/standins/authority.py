"""A certification authority shaped like Apple's for Developer ID: root, intermediate, leaf, and its .p12."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.identity import DEVELOPER_ID_APPLICATION

DEVELOPER_ID_CA = x509.ObjectIdentifier("1.2.840.113635.100.6.2.6")
FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)
TEAM = "PRDCT10N42"
PASSWORD = "a production password"
_DER_NULL = b"\x05\x00"
_KEYS: dict[str, rsa.RSAPrivateKey] = {}


@dataclass(frozen=True)
class Issued:
    """A Developer ID certificate with its key and all above it."""

    key: rsa.RSAPrivateKey
    leaf: x509.Certificate
    intermediate: x509.Certificate
    root: x509.Certificate

    @property
    def name(self) -> str:
        return str(self.leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    @property
    def leaf_pem(self) -> bytes:
        return self.leaf.public_bytes(Encoding.PEM)

    def p12(self, *, kind: Literal["modern", "old"] = "modern", chain: bool = True) -> bytes:
        above = [self.intermediate, self.root] if chain else None
        name = self.name.encode()
        return pkcs12.serialize_key_and_certificates(name, self.key, self.leaf, above, _encryption(kind))


def issue(
    *,
    team: str = TEAM,
    company: str = "Example",
    start: datetime = FROM,
    end: datetime = UNTIL,
    code: bool = True,
) -> Issued:
    """Make a Developer ID Application certificate of `team`; `code` False leaves its purpose out."""
    root_key, middle_key, key = (_key(name) for name in ("root", "intermediate", "leaf"))
    root_name = _name("Example Root CA", "Example Certification Authority")
    middle_name = _name("Developer ID Certification Authority", "G2")
    root = _authority(root_name, root_key, root_name, root_key, 1)
    middle = _authority(middle_name, middle_key, root_name, root_key, 0)
    subject = _name(f"Developer ID Application: {company} ({team})", team)
    purpose = ExtendedKeyUsageOID.CODE_SIGNING if code else ExtendedKeyUsageOID.EMAIL_PROTECTION
    leaf = (
        _builder(subject, key, middle_name, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .add_extension(x509.UnrecognizedExtension(DEVELOPER_ID_APPLICATION, _DER_NULL), critical=True)
        .sign(middle_key, hashes.SHA256())
    )
    return Issued(key, leaf, middle, root)


def _key(name: str) -> rsa.RSAPrivateKey:
    if name not in _KEYS:
        _KEYS[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _KEYS[name]


def _name(common: str, unit: str) -> x509.Name:
    parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _builder(
    subject: x509.Name, key: rsa.RSAPrivateKey, issuer: x509.Name, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _authority(
    subject: x509.Name, key: rsa.RSAPrivateKey, issuer: x509.Name, issuer_key: rsa.RSAPrivateKey, length: int
) -> x509.Certificate:
    builder = (
        _builder(subject, key, issuer, FROM, UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(_usage(signs=False), critical=True)
    )
    if subject != issuer:
        builder = builder.add_extension(x509.UnrecognizedExtension(DEVELOPER_ID_CA, _DER_NULL), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs,
        crl_sign=not signs,
        encipher_only=False,
        decipher_only=False,
    )


def _encryption(kind: str) -> KeySerializationEncryption:
    if kind == "modern":
        return BestAvailableEncryption(PASSWORD.encode())
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())
        .build(PASSWORD.encode())
    )
