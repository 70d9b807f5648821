"""The Developer ID: is it there, is it ours, how long is it good for."""

from __future__ import annotations

import re
import sys
from datetime import datetime

from cryptography import x509

from commands import Runner
from release.doctor.case import Case
from release.doctor.check import NotChecked, Warn
from signing import certificate as certificates

_LISTED = re.compile(r'^\s*\d+\) [0-9A-F]{40} "(?P<name>.+)"$', re.M)


def certificate(case: Case) -> str | Warn:
    """Look at the certificate in the .p12, or in the Mac's keychains. Raises Fault SECRET."""
    return judge(case.services.certificate, team=case.services.team_id, name=_name(case), now=case.now())


def judge(leaf: x509.Certificate, *, team: str, name: str, now: datetime) -> str | Warn:
    """Hold a certificate against the team and the name that are configured, and the calendar.

    Raises BadIdentity for what Gatekeeper would not accept; what ends within 30 days is a warning.
    """
    certificates.require_usable(leaf, now)
    certificates.require_real(leaf)
    if team:
        certificates.require_team(leaf, team)
    if name:
        certificates.require_name(leaf, name)
    soon = certificates.expiry_warning(leaf, now)
    if soon is not None:
        return Warn(soon, f"{certificates.RENEW}, and release with it before then, with the same Sparkle key")
    return f"{certificates.name_of(leaf)}, until {leaf.not_valid_after_utc:%Y-%m-%d}"


def keychain(case: Case) -> str:
    """Look whether codesign finds the identity by itself already."""
    if sys.platform != "darwin" or not case.services.signs_natively:
        raise NotChecked("codesign does not sign here")
    name = _name(case)
    if name in listed(case.runner):
        return name
    raise NotChecked(f"“{name}” is in no keychain: it is taken from the .p12 for the release")


def listed(runner: Runner) -> list[str]:
    """Return the names of the identities that codesign can use."""
    done = runner.run(["security", "find-identity", "-v", "-p", "codesigning"], check=False, timeout=20)
    return [found["name"] for found in _LISTED.finditer(done.stdout.decode("utf-8", "replace"))]


def _name(case: Case) -> str:
    wanted = case.config.profile.signing.name
    return case.environ.get(wanted[4:], "") if wanted.startswith("env:") else wanted
