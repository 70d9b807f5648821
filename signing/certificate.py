"""What a signing certificate must be: in force, for signing code, of the right team and name, with its chain.

Pure: certificates and a time in, faults and sentences out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from errors import Exit, Fault

WARN_DAYS = 30
APPLE_AUTHORITIES = "https://www.apple.com/certificateauthority/"
RENEW = "make a new Developer ID Application certificate in Apple's developer account"
REHEARSAL_TEAM = "RHRSL00000"
"""The team of throwaway identities: no team of Apple's, whose ids are random."""


class BadIdentity(Fault):
    """A signing identity cannot be used."""

    status = Exit.SECRET


def name_of(certificate: x509.Certificate) -> str:
    """Return the common name, as codesign and the Keychain show it. Raises BadIdentity if it has none."""
    return _text(certificate, NameOID.COMMON_NAME)


def team_of(certificate: x509.Certificate) -> str:
    """Return the team id. Raises BadIdentity if it has none."""
    return _text(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-1 over its DER as `security find-identity` prints it: 40 capital hex digits."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name, not a proof


def require_usable(leaf: x509.Certificate, now: datetime) -> None:
    """Raise BadIdentity unless it is in force at `now` (aware) and for signing code."""
    name = name_of(leaf)
    if now > leaf.not_valid_after_utc:
        raise BadIdentity(
            f"the certificate “{name}” expired on {leaf.not_valid_after_utc:%Y-%m-%d}", cure=RENEW
        )
    if now < leaf.not_valid_before_utc:
        raise BadIdentity(
            f"the certificate “{name}” is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}",
            cure="check this machine's clock",
        )
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    if ExtendedKeyUsageOID.CODE_SIGNING not in usages:
        raise BadIdentity(
            f"the certificate “{name}” is not for signing code",
            cure="use a Developer ID Application certificate",
        )


def require_team(leaf: x509.Certificate, team_id: str) -> None:
    """Raise BadIdentity, naming both, unless the certificate is of that team."""
    if team_of(leaf) != team_id:
        raise BadIdentity(
            f"the certificate “{name_of(leaf)}” is of team {team_of(leaf)}, releases are signed by {team_id}",
            cure="use that team's certificate, or correct signing.team_id",
        )


def require_name(leaf: x509.Certificate, wanted: str) -> None:
    """Raise BadIdentity unless `wanted` is how codesign may be told: its name, part of that, or its SHA-1."""
    if wanted not in name_of(leaf) and wanted.upper() != fingerprint(leaf):
        raise BadIdentity(
            f"the certificate is “{name_of(leaf)}”, signing.name asks for “{wanted}”",
            cure="use the right certificate, or correct signing.name",
        )


def require_real(leaf: x509.Certificate) -> None:
    """Raise BadIdentity for a throwaway identity, which only a rehearsal may sign with."""
    if team_of(leaf) == REHEARSAL_TEAM or leaf.issuer == leaf.subject:
        raise BadIdentity(
            f"the certificate “{name_of(leaf)}” is a throwaway one: nobody but its maker has signed it",
            cure="production needs a Developer ID Application certificate from Apple",
        )


def expiry_warning(leaf: x509.Certificate, now: datetime, *, days: int = WARN_DAYS) -> str | None:
    """Return a sentence if the certificate ends within `days` of `now` (aware), else None."""
    left = leaf.not_valid_after_utc - now
    if left > timedelta(days=days):
        return None
    when = f"{leaf.not_valid_after_utc:%Y-%m-%d}"
    if left < timedelta(0):
        return f"the certificate “{name_of(leaf)}” expired on {when}"
    return f"the certificate “{name_of(leaf)}” expires on {when}, in {left.days} days"


def chain_of(leaf: x509.Certificate, known: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return those of `known` above `leaf`, its issuer first, as far up as they go."""
    candidates, found, below = list(known), [], leaf
    while below.issuer != below.subject:
        above = next((one for one in candidates if issued(below, one)), None)
        if above is None or above in found:
            break
        found.append(above)
        below = above
    return tuple(found)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether `issuer`'s key has signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def require_chain(leaf: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
    """Raise BadIdentity if its issuer is not among `chain`: Gatekeeper needs it in signatures."""
    if leaf.issuer != leaf.subject and not chain_of(leaf, chain):
        issuer = leaf.issuer.rfc4514_string()
        raise BadIdentity(
            f"the .p12 has the certificate “{name_of(leaf)}” without the one that issued it",
            details=(f"missing: {issuer}",),
            cure=f"get it from {APPLE_AUTHORITIES} and name the file in signing.chain",
        )


def from_files(data: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates from a file's content: PEM, one or more, or DER. Raises BadIdentity."""
    try:
        return tuple(_parse(data))
    except ValueError as error:
        raise BadIdentity("there is no certificate in it", cure="give a PEM or DER file") from error


def _parse(data: bytes) -> Iterator[x509.Certificate]:
    if b"-----BEGIN" in data:
        yield from x509.load_pem_x509_certificates(data)
    else:
        yield x509.load_der_x509_certificate(data)


def _text(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    if not found:
        raise BadIdentity("the certificate has no name or no team id", cure="use a Developer ID certificate")
    return str(found[0].value)
