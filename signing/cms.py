"""The CMS signature over a code directory, and the timestamp over that signature.

Formats: RFC 5652 (CMS), RFC 3161 (timestamps), RFC 5035 (which certificate signed), and Apple's two signed
attributes that list the hashes of all code directories (1.2.840.113635.100.9.1, a property list, and .9.2).

What is decided here is whether the parts agree with each other. Whether Apple issued the certificates is for
the caller, who may pin a leaf or look at the last certificate of the chain.
"""

from __future__ import annotations

import hashlib
import plistlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from asn1crypto import cms as asn1
from asn1crypto import core, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.superblob import HASH_OIDS, CodeDirectory

CDHASHES_PLIST, CDHASHES_BY_TYPE = "1.2.840.113635.100.9.1", "1.2.840.113635.100.9.2"
STAMP = "signature_time_stamp_token"
HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
MAX_SIZE = 1 << 20  # real ones are about 9 KB
MAX_CHAIN = 8


class Untrue(Exception):
    """Some part of the signature does not hold: becomes a line of a report, nobody else sees it."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When a timestamp authority saw the signature, and its certificates, signer first."""

    time: datetime
    certificates: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a CMS signature says: its chain (leaf first), the times, and whatever does not hold.

    The team id is the leaf's organizational unit: that is where Apple's certificates have it.
    """

    chain: tuple[x509.Certificate, ...] = ()
    team_id: str | None = None
    signing_time: datetime | None = None
    timestamp: Timestamp | None = None
    problems: tuple[str, ...] = ()


def verify(cms: bytes, directories: Sequence[CodeDirectory]) -> Signature:
    """Check `cms` over the first of `directories`, and that it lists them all. Never raises for bad bytes."""
    if len(cms) > MAX_SIZE:
        return Signature(problems=(f"the CMS signature has the impossible size of {len(cms)} bytes",))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # real certificates have names longer than X.520 allows
            return _verify(cms, directories)
    except Untrue as error:
        return Signature(problems=(str(error),))
    except Exception as error:  # the parsers of ASN.1 and X.509 fail on hostile bytes in every way there is
        return Signature(
            problems=(f"the CMS signature cannot be read: {type(error).__name__}: {error}"[:200],)
        )


def _verify(cms: bytes, directories: Sequence[CodeDirectory]) -> Signature:
    signed, signer = _open(cms, "data")
    if signed["encap_content_info"]["content"].native is not None:
        raise Untrue("the CMS signature carries content of its own")
    chain = _chain(signed, signer)
    attributes = _signed_attributes(signer, "data", bytes(directories[0].data))
    _check_signature(signer, chain[0])
    stamp, unknown = _timestamp(signer)
    time = _time(attributes)
    problems = (
        *_usage(chain[0], ExtendedKeyUsageOID.CODE_SIGNING, "code signing"),
        *_directories(attributes, directories),
        *(f"the CMS signature has the unknown unsigned attribute {name}" for name in unknown),
        *_validity(chain, stamp.time if stamp else time),
    )
    team = _first(chain[0].subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Signature(chain, team, time, stamp, problems)


def _open(data: bytes, content: str) -> tuple[Any, Any]:
    """The SignedData and its one signer; every count, version and repeated field as the RFC has it."""
    outer = asn1.ContentInfo.load(data, strict=True)
    if outer["content_type"].native != "signed_data":
        raise Untrue("the CMS blob is not signed data")
    signed = outer["content"]
    if len(signed["signer_infos"]) != 1:
        raise Untrue(f"the CMS signature has {len(signed['signer_infos'])} signers where one is expected")
    signer = signed["signer_infos"][0]
    algorithms = [each["algorithm"].native for each in signed["digest_algorithms"]]
    if algorithms != [signer["digest_algorithm"]["algorithm"].native]:
        raise Untrue("the CMS signature's digest algorithms do not agree")
    if signed["encap_content_info"]["content_type"].native != content:
        raise Untrue("the CMS signature is over another kind of content")
    _check_versions(signed, signer, content)
    _check_parameters(signed, signer)
    if not isinstance(signed["crls"], core.Void) and len(signed["crls"]):
        raise Untrue("the CMS signature carries revocation lists")
    return signed, signer


def _check_versions(signed: Any, signer: Any, content: str) -> None:
    by_issuer = signer["sid"].name == "issuer_and_serial_number"
    expected = "v1" if by_issuer and content == "data" else "v3"
    if signed["version"].native != expected or signer["version"].native != ("v1" if by_issuer else "v3"):
        raise Untrue("the CMS signature's versions are not the ones its content asks for")


def _check_parameters(signed: Any, signer: Any) -> None:
    """Algorithm parameters are not covered by the signature: only NULL or nothing may stand there."""
    plain = (*signed["digest_algorithms"], signer["digest_algorithm"], signer["signature_algorithm"])
    if any(each["parameters"].native is not None for each in plain):
        raise Untrue("the CMS signature has parameters where none belong")


def _chain(signed: Any, signer: Any) -> tuple[x509.Certificate, ...]:
    """The signer's certificate up to a self-signed one, every link verified, no certificate left over."""
    held = [_certificate(each.chosen.dump()) for each in signed["certificates"]]
    leaf = next((each for each in held if _is_signer(each, signer["sid"])), None)
    if leaf is None:
        raise Untrue("the CMS signature does not carry its signer's certificate")
    chain = [leaf]
    while not _issued(chain[-1], chain[-1]):
        issuer = next((each for each in held if each not in chain and _issued(chain[-1], each)), None)
        if issuer is None or len(chain) >= MAX_CHAIN:
            raise Untrue(f"no certificate here issued {_title(chain[-1])}")
        chain.append(issuer)
    if len(held) != len(chain):
        raise Untrue("the CMS signature carries certificates that are not part of its chain")
    return tuple(chain)


def _certificate(der: bytes) -> x509.Certificate:
    """Parse a certificate. The count of unused bits before its signature is unsigned: it has to be zero."""
    found = x509.load_der_x509_certificate(der)
    if der[-len(found.signature) - 1]:
        raise Untrue(f"{_title(found)} has a signature of a broken length")
    return found


def _is_signer(certificate: x509.Certificate, sid: Any) -> bool:
    if sid.name == "issuer_and_serial_number":
        given = sid.chosen
        same_issuer = certificate.issuer.public_bytes() == given["issuer"].dump()
        return same_issuer and bool(certificate.serial_number == given["serial_number"].native)
    try:
        key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return False
    return bool(key_id.value.digest == sid.chosen.native)


@lru_cache(maxsize=1024)
def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate`; an issuer other than itself must be a certificate authority."""
    if certificate.issuer != issuer.subject or (issuer != certificate and not _is_authority(issuer)):
        return False
    try:
        _check(
            issuer.public_key(),
            certificate.signature,
            certificate.tbs_certificate_bytes,
            certificate.signature_hash_algorithm,
        )
    except (Untrue, TypeError):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check(key: Any, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm | None) -> None:
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, data, ec.ECDSA(algorithm))
        else:
            raise Untrue("the signature is neither RSA nor ECDSA")
    except InvalidSignature:
        raise Untrue("the signature does not match") from None


def _check_signature(signer: Any, leaf: x509.Certificate) -> None:
    """The signature over the signed attributes, re-tagged from [0] to SET OF as RFC 5652 §5.4 says."""
    digest = signer["digest_algorithm"]["algorithm"].native
    algorithm = signer["signature_algorithm"]
    kind = algorithm.signature_algo
    expected = "ecdsa" if isinstance(leaf.public_key(), ec.EllipticCurvePublicKey) else "rsassa_pkcs1v15"
    named = algorithm["algorithm"].native
    if kind != expected or (named != "rsassa_pkcs1v15" and algorithm.hash_algo != digest):
        raise Untrue(f"the CMS signature's algorithm {named} does not go with its key and digest")
    if digest not in HASHES:
        raise Untrue(f"the CMS signature uses {digest}, which is not supported")
    attributes = signer["signed_attrs"].dump()
    try:
        _check(leaf.public_key(), signer["signature"].native, b"\x31" + attributes[1:], HASHES[digest]())
    except Untrue as error:
        raise Untrue("the CMS signature does not match what it signs") from error


def _signed_attributes(signer: Any, kind: str, content: bytes) -> dict[str, list[Any]]:
    """The signed attributes by name or OID, after checking that they are about `content`."""
    found: dict[str, list[Any]] = {}
    for attribute in signer["signed_attrs"]:
        name = attribute["type"].native
        if name in found:
            raise Untrue(f"the CMS signature has the attribute {name} twice")
        found[name] = list(attribute["values"])
    digest = hashlib.new(signer["digest_algorithm"]["algorithm"].native, content).digest()
    if [each.native for each in found.get("content_type", ())] != [kind]:
        raise Untrue("the CMS signature does not say what kind of content it signs")
    if [each.native for each in found.get("message_digest", ())] != [digest]:
        raise Untrue("the CMS signature is for other content")
    return found


def _directories(attributes: dict[str, list[Any]], directories: Sequence[CodeDirectory]) -> Iterator[str]:
    """Apple's lists of code directory hashes. One of them is needed once there is more than one directory."""
    if CDHASHES_PLIST in attributes:
        listed = plistlib.loads(attributes[CDHASHES_PLIST][0].native)["cdhashes"]
        if listed != [each.cdhash for each in directories]:
            yield "the CMS signature lists other code directories than there are"
    if CDHASHES_BY_TYPE in attributes:
        expected = [(HASH_OIDS.get(each.hash_type), each.digest) for each in directories]
        pairs = [_pair(each) for each in attributes[CDHASHES_BY_TYPE]]
        if any(pair not in expected for pair in pairs):
            yield "the CMS signature lists another code directory hash than there is"
    elif CDHASHES_PLIST not in attributes and len(directories) > 1:
        yield "the CMS signature does not cover the alternate code directory"


def _pair(value: Any) -> tuple[str, bytes]:
    """One member of the 9.2 attribute: a SEQUENCE of a hash algorithm's OID and the hash."""
    sequence = core.SequenceOf.load(value.dump(), spec=core.Any)
    kind = core.ObjectIdentifier.load(sequence[0].dump())
    return kind.dotted, core.OctetString.load(sequence[1].dump()).native


def _time(attributes: dict[str, list[Any]]) -> datetime | None:
    values = attributes.get("signing_time")
    return values[0].native if values else None


def _timestamp(signer: Any) -> tuple[Timestamp | None, list[str]]:
    """The verified timestamp, if there is one, and the names of unsigned attributes that are not one."""
    named = [(each["type"].native, each["values"]) for each in signer["unsigned_attrs"]]
    stamps = [values for name, values in named if name == STAMP]
    if len(stamps) > 1 or any(len(values) != 1 for values in stamps):
        raise Untrue("the CMS signature has more than one timestamp")
    token = check_timestamp(stamps[0][0].dump(), signer["signature"].native) if stamps else None
    return token, [name for name, _ in named if name != STAMP]


def check_timestamp(data: bytes, signature: bytes) -> Timestamp:
    """Check a timestamp token over `signature`: its CMS, its imprint, its signer's purpose; else Untrue."""
    try:
        return _open_token(data, signature)
    except Untrue as error:
        raise Untrue(f"timestamp: {error}") from error


def _open_token(data: bytes, signature: bytes) -> Timestamp:
    signed, signer = _open(data, "tst_info")
    content = bytes(signed["encap_content_info"]["content"])
    chain = _chain(signed, signer)
    _signed_attributes(signer, "tst_info", content)
    _check_signature(signer, chain[0])
    info = tsp.TSTInfo.load(content, strict=True)
    imprint = info["message_imprint"]
    digest = hashlib.new(imprint["hash_algorithm"]["algorithm"].native, signature).digest()
    if imprint["hashed_message"].native != digest:
        raise Untrue("it is for another signature")
    time = info["gen_time"].native
    for problem in (
        *_usage(chain[0], ExtendedKeyUsageOID.TIME_STAMPING, "timestamps"),
        *_validity(chain[:1], time),
    ):
        raise Untrue(problem)
    return Timestamp(time, chain)


def _usage(certificate: x509.Certificate, purpose: x509.ObjectIdentifier, name: str) -> Iterator[str]:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    if purpose not in usages:
        yield f"{_title(certificate)} is not meant for {name}"


def _validity(chain: Sequence[x509.Certificate], time: datetime | None) -> Iterator[str]:
    """Certificates have to be valid when the code was signed, not when it is looked at."""
    if time is None:
        return
    moment = time.astimezone(UTC)
    for each in chain:
        if not each.not_valid_before_utc <= moment <= each.not_valid_after_utc:
            yield f"{_title(each)} was not valid at {moment:%Y-%m-%d %H:%M}"


def _title(certificate: x509.Certificate) -> str:
    return f"the certificate “{_first(certificate.subject, NameOID.COMMON_NAME) or 'without a name'}”"


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None
