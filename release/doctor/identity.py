"""The Developer ID: is it there, is it ours, how long is it good for."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from commands import Runner
from errors import Exit, Fault
from release.doctor.case import Case
from release.doctor.check import NotChecked, Warn
from signing.identity import DEVELOPER_ID_APPLICATION

SOON = timedelta(days=30)
NEW = "make a new Developer ID Application certificate in Apple's developer account, in a release of its own"
_LISTED = re.compile(r'^\s*\d+\) [0-9A-F]{40} "(?P<name>.+)"$', re.M)


def certificate(case: Case) -> str | Warn:
    """Unlock the .p12 and look at its certificate. Raises Fault SECRET."""
    try:
        found = case.services.identity
    except ValueError as error:  # of base64
        raise Fault(
            "the certificate is not base64",
            where=case.config.profile.signing.certificate,
            cure="base64 -i certificate.p12",
            status=Exit.SECRET,
        ) from error
    wanted = case.config.profile.signing
    name = case.environ.get(wanted.name[4:], "") if wanted.name.startswith("env:") else wanted.name
    return judge(found.certificate, team=case.services.team_id, name=name, now=case.now())


def judge(certificate: x509.Certificate, *, team: str, name: str, now: datetime) -> str | Warn:
    """Hold a certificate against the team and the name that are configured, and the calendar.

    Raises Fault SECRET for what Gatekeeper would not accept; what ends within 30 days is a warning.
    """
    common, unit = (
        _text(certificate, NameOID.COMMON_NAME),
        _text(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
    )
    until = certificate.not_valid_after_utc
    kinds = [one.oid for one in certificate.extensions]
    for wrong, what, cure in (
        (DEVELOPER_ID_APPLICATION not in kinds, "is no Developer ID Application certificate", NEW),
        (unit != team, f"belongs to the team {unit}, not {team}", "set APPLE_TEAM_ID, or use the team's own"),
        (name and name not in (common, unit), f"is not “{name}”", "set MACOS_CODE_SIGN_IDENTITY to its name"),
        (now > until, f"expired on {until:%Y-%m-%d}", NEW),
        (now < certificate.not_valid_before_utc, "is not valid yet", "check this machine's clock"),
    ):
        if wrong:
            raise Fault(f"the certificate “{common}” {what}", cure=cure, status=Exit.SECRET)
    left = f"{common}, until {until:%Y-%m-%d}"
    return Warn(f"{left}: {(until - now).days} days", NEW) if until - now < SOON else left


def keychain(case: Case) -> str:
    """Look whether codesign finds the identity by itself already."""
    if sys.platform != "darwin" or not case.services.signs_natively:
        raise NotChecked("codesign does not sign here")
    wanted = case.config.profile.signing.name
    name = case.environ.get(wanted[4:], "") if wanted.startswith("env:") else wanted
    names = listed(case.runner)
    if name in names:
        return name
    raise NotChecked(f"“{name}” is in no keychain: it is taken from the .p12 for the release")


def listed(runner: Runner) -> list[str]:
    """Return the names of the identities that codesign can use."""
    done = runner.run(["security", "find-identity", "-v", "-p", "codesigning"], check=False, timeout=20)
    return [found["name"] for found in _LISTED.finditer(done.stdout.decode("utf-8", "replace"))]


def _text(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""
