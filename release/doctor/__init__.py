"""Is everything there that a release needs: `./invoke doctor`, and what a production release asks first.

A module a subject; `check` says what a check is, `case` what they look at. A rehearsal has a shorter list: it
needs no account, no secret and no network.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands import Runner
from errors import Fault
from release.credentials import PUBLIC
from release.doctor import bucket, cloudflare, identity, keys, machine, notary, site, source
from release.doctor.case import Case
from release.doctor.check import Check, Diagnosis, Finding, NotChecked, Warn, examine
from release.services import Services
from release.version import Version
from signing.clock import Clock, SystemClock

if TYPE_CHECKING:
    from release.config import Config
    from release.credentials import Credential
    from release.places import Places

__all__ = [
    "Case",
    "Check",
    "Diagnosis",
    "Finding",
    "Warn",
    "Wish",
    "case_of",
    "checks",
    "doctor",
    "gate",
    "opened",
    "plan",
]

SPARKLE = ("sparkle.private_key", "sparkle.public_key")
BUCKET = ("publish.account", "publish.access_key", "publish.secret_key")
IDENTITY = ("signing.certificate", "signing.certificate_password", "signing.name", "signing.team_id")
NOTARY = ("notary.issuer", "notary.key_id", "notary.private_key", "notary.apple_id", "notary.password")
TOKEN = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - a variable's name
BUN = "Bun"


def doctor(case: Case) -> Diagnosis:
    """Make every check of the profile."""
    return Diagnosis(case.config.profile_name, examine(checks(case), case.missing))


def plan(case: Case) -> Diagnosis:
    """Make those checks that ask nobody: what a dry run can tell."""
    here = [check for check in checks(case) if check.phase == "here" and check.name != BUN]
    return Diagnosis(case.config.profile_name, examine(here, case.missing))


def gate(case: Case, *, published: bool) -> Diagnosis:
    """Make the checks that stand before a production release: those here, and if all is well, the others.

    Of one that is `published` nobody is asked again. What is signed while the release is made is tried
    there: Bun is not run twice.
    """
    here = plan(case)
    if published or here.failed:
        return here
    others = [check for check in checks(case) if check.phase != "here"]
    return Diagnosis(here.profile, (*here.findings, *examine(others, case.missing)))


def checks(case: Case) -> tuple[Check, ...]:
    """Return the profile's checks, in the order in which they are shown."""
    if case.config.rehearsal:
        return (*_source(case), *_machine(case), _here("keys", "EdDSA key", keys.pair, case))
    return (
        *_secrets(case),
        *_source(case),
        *_machine(case),
        *_signing(case),
        *_public(case),
        Check("others", "clock", lambda: site.clock(case.dates), "after"),
    )


def _secrets(case: Case) -> Iterator[Check]:
    for one in case.credentials:
        if one.needed:
            yield Check("secrets", one.name, partial(_secret, case, one))


def _secret(case: Case, one: Credential) -> str:
    """Read a secret. What is said of it is what it is for, never what it is."""
    from signing import secrets

    if one.missing:
        raise secrets.SecretFault(f"missing: {one.purpose}", cure=f"set {one.name}: {one.source}")
    secrets.read(one.address, environ=case.environ, runner=case.runner, public=one.key in PUBLIC)
    return one.purpose


def _source(case: Case) -> Iterator[Check]:
    yield _here("source", "commit", source.commit, case)
    yield _here("source", "tag", source.tag, case)
    yield _here("source", "changelog", source.notes, case)
    yield _here("source", "inputs", source.pins, case)


def _machine(case: Case) -> Iterator[Check]:
    yield Check("machine", "Python", machine.python)
    yield Check("machine", "packages", machine.packages)
    yield Check("machine", "git", lambda: machine.git(case.runner))
    if sys.platform == "darwin" and not case.config.rehearsal:
        for name in machine.NATIVE:
            yield Check("machine", name, partial(machine.program, name))
        for name in machine.XCODE:
            yield Check("machine", name, partial(machine.xcode, case.runner, name))
    for name, folder in {"disk": case.places.dist, "cache's disk": case.services.cache.root}.items():
        yield Check("machine", name, partial(machine.disk, folder))
    if not case.config.rehearsal:
        yield Check("machine", BUN, lambda: machine.bun(case), limit=120)


def _signing(case: Case) -> Iterator[Check]:
    yield _here("signing", "certificate", identity.certificate, case, IDENTITY)
    yield _here("signing", "keychain", identity.keychain, case, ("signing.name",))
    yield _here("keys", "EdDSA key", keys.pair, case, SPARKLE)
    yield _here("keys", "Info.plist", keys.plist, case, SPARKLE)


def _public(case: Case) -> Iterator[Check]:
    feed, installed = ("sparkle.public_key",), (*SPARKLE, "signing.team_id", "signing.certificate")
    yield _asks("keys", "installed apps", keys.installed, case, installed)
    yield _asks("keys", "build", keys.rising, case, feed)
    yield _asks("others", "notary", notary.history, case, NOTARY)
    yield _asks("others", "bucket", _bucket, case, BUCKET)
    yield _asks("others", "Cloudflare's token", _token, case)
    yield _asks("others", "Cloudflare's zone", _zone, case)
    yield _asks("others", "site", site.reachable, case)
    yield _asks("others", "feed", site.feed, case, feed)


def _bucket(case: Case) -> str:
    return bucket.rights(case.services.store, case.now())


def _token(case: Case) -> str | Warn:
    """Cloudflare has tokens of users and of accounts; the latter are verified where the account is known."""
    uri = case.config.profile.publish.account or ""
    account = case.environ.get(uri.removeprefix("env:"), "") if uri.startswith("env:") else ""
    return cloudflare.token(_api(case), case.now(), account)


def _zone(case: Case) -> str | Warn:
    zone = case.config.profile.publish.purge_zone
    if zone is None:
        raise NotChecked("no publish.purge_zone is configured: caches follow within a minute")
    id = case.environ.get(zone[4:], "") if zone.startswith("env:") else zone
    return cloudflare.zone(_api(case), id, case.config.site)


def _api(case: Case) -> cloudflare.Api:
    import requests

    from signing import secrets

    wanted = case.config.profile.publish
    uri = wanted.purge_token or f"env:{TOKEN}"
    if secrets.present(uri, environ=case.environ) is False:
        raise NotChecked(f"{uri} is not set, and no release needs it")
    token = secrets.read(uri, environ=case.environ, runner=case.runner)
    return cloudflare.Api(wanted.purge_api, token, case.dates.watch(requests.Session()))


def _here(
    group: str, name: str, make: Callable[[Case], str | Warn], case: Case, wants: tuple[str, ...] = ()
) -> Check:
    return Check(group, name, partial(make, case), "here", wants)


def _asks(
    group: str, name: str, make: Callable[[Case], str | Warn], case: Case, wants: tuple[str, ...] = ()
) -> Check:
    return Check(group, name, partial(make, case), "asks", wants)


def case_of(
    config: Config,
    version: Version,
    places: Places,
    services: Services,
    runner: Runner,
    *,
    asked: str | None = None,
    taken: bool = False,
    clock: Clock | None = None,
) -> Case:
    """Put together what the checks look at."""
    from release.credentials import credentials

    found = credentials(config, natively=services.notarizes_natively, dist=places.dist)
    return Case(
        config, version, places, services, runner, clock or SystemClock(), found, os.environ, asked, taken
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line. `version`: if not the tag's."""

    profile: str = "rehearsal"
    version: str | None = None
    dist: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def opened(root: Path, wish: Wish, runner: Runner) -> Iterator[Case]:
    """Yield what would be released now from the checkout. Makes nothing, holds no lock."""
    from release import config as configuration
    from release.digests import Digests
    from release.places import places
    from release.run import Options, choose

    config = configuration.load(root, wish.profile, overrides=wish.overrides)
    home = wish.dist or root / "dist"
    try:
        options = Options(wish.profile, wish.version, dist=wish.dist)
        version, _, found = choose(config, options, Digests(home / ".digests.json"), runner, home)
    except Fault:  # what is wrong with it is found by the checks
        version = Version("0.0", "0", 0)
        found = places(config, version, home)
    with Services(config, found, runner, version.epoch) as services:
        yield case_of(config, version, found, services, runner, asked=wish.version)
