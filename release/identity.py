"""Who signs a release: a .p12's owner, an identity of the Mac's keychains, or (rehearsing) nobody real."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from errors import Exit, Fault
from release.config import Config, Way
from signing import certificate, secrets
from signing.certificate import BadIdentity

if TYPE_CHECKING:
    from cryptography import x509

    from signing.identity import Unlocked


def natively(config: Config) -> bool:
    """Tell whether codesign signs: on a Mac, unless the identity is a throwaway one that no keychain has."""
    wanted = config.profile.signing
    return native(wanted.way, sys.platform == "darwin" and bool(wanted.certificate or not config.rehearsal))


def in_keychains(config: Config, environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether the identity comes from the Mac's own keychains: production, and no .p12 is there."""
    wanted = config.profile.signing
    absent = wanted.certificate is None or secrets.present(wanted.certificate, environ=environ) is False
    return absent and not config.rehearsal and natively(config)


def native(way: Way, automatic: bool) -> bool:
    """Tell whether a step is done by macOS's own program: as configured, else as `automatic` says."""
    return automatic if way == "auto" else way == "native"


def open_p12(config: Config, read: Callable[[str], str]) -> Unlocked:
    """Unlock the configured .p12 in memory; `read` gives a secret by its address. Raises BadIdentity."""
    from signing import identity

    wanted = config.profile.signing
    if wanted.certificate is None:
        raise Fault(
            "there is no certificate to sign with",
            cure="set signing.certificate, or sign on a Mac that has one",
            status=Exit.CONFIG,
        )
    text = read(wanted.certificate)
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadIdentity(
            "the signing identity is not base64", where=wanted.certificate, cure="base64 < developer-id.p12"
        ) from None
    password = read(wanted.certificate_password) if wanted.certificate_password else ""
    return identity.unlock(data, password, known=_known(config))


def require(leaf: x509.Certificate, config: Config, *, team: str, name: str, now: datetime) -> None:
    """Raise BadIdentity unless a release of this profile may be signed with it at `now` (aware)."""
    certificate.require_usable(leaf, now)
    if not config.rehearsal:
        certificate.require_real(leaf)
    certificate.require_team(leaf, team)
    certificate.require_name(leaf, name)


def _known(config: Config) -> tuple[x509.Certificate, ...]:
    wanted = config.profile.signing.chain
    if wanted is None:
        return ()
    path = config.root / wanted
    try:
        return certificate.from_files(path.read_bytes())
    except OSError as error:
        raise BadIdentity(
            f"signing.chain cannot be read: {error.strerror or error}",
            where=path,
            cure=f"get it from {certificate.APPLE_AUTHORITIES}",
        ) from error
