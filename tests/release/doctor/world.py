"""All that a production release talks to, as stand-ins on loopback, and a checkout that is ready for one."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from commands import Subprocess
from release import config as configuration
from release.config import Config
from release.doctor import Case, case_of
from release.objects import FEED_KEY
from release.places import places
from release.publish import publish
from release.rehearsal.apple import AppleStandIn
from release.rehearsal.bucket import Bucket
from release.rehearsal.site import Site, route
from release.services import Services
from release.store import S3Store, Store
from release.version import Version
from signing.clock import Clock, SystemClock
from tests.standins import authority, cloudflare
from tests.standins.public import KEY, PUBLIC, SITE, publication, side
from tests.standins.repository import Repository, repository

if TYPE_CHECKING:
    from release.doctor import Diagnosis, Finding

NAME = "doctor-tests"
NOW = datetime.now(UTC)
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-05-06\n\n### Added\n\n- A thing.\n"


@dataclass
class World:
    """`environ` and `overrides` are a production's; tests spoil one thing at a time."""

    bucket: Bucket
    apple: AppleStandIn
    cloudflare: cloudflare.Cloudflare
    site: Site
    checkout: Repository
    environ: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    store: Store | None = None  # instead of the real bucket's
    reachable: bool = True
    clock: Clock = field(default_factory=SystemClock)

    @contextmanager
    def case(self, build: str = "9", *, taken: bool = False) -> Iterator[Case]:
        config = self.config()
        version = Version("1.2.0", build, 0)
        home = places(config, version)
        with Routed(config, home, Subprocess(), 0) as services:
            assert isinstance(services, Routed)
            services.world = self
            yield case_of(config, version, home, services, Subprocess(), taken=taken, clock=self.clock)

    def config(self) -> Config:
        """Production's; addresses on loopback, which release.toml may not have, are put in afterwards."""
        here = {key: value for key, value in self.overrides.items() if value.startswith("http://127.0.0.1")}
        rest = {key: value for key, value in self.overrides.items() if key not in here}
        config = configuration.load(self.checkout.root, "production", overrides=rest)
        profile = config.profile
        for key, value in here.items():
            _, _, table, name = key.split(".")
            profile = replace(profile, **{table: replace(getattr(profile, table), **{name: value})})
        return replace(config, profile=profile)

    def publish(self, folder: Path, build: str = "1") -> None:
        """Make a build public, signed with the key and certificate that the next one has, too."""
        store = self.bucket.store()
        publish(side(store), publication(folder, build))

    def clean(self) -> None:
        store = self.bucket.store()
        for one in list(store.list()):
            store.delete(one.key)

    def put_feed(self, data: bytes) -> None:
        self.bucket.store().put(FEED_KEY, data, content_type="application/rss+xml", cache_control="no-store")


class Routed(Services):
    """Services whose public address leads to the local site, or nowhere."""

    world: World

    def public_session(self) -> requests.Session:
        session = requests.Session()
        route(session, SITE, self.world.site.url if self.world.reachable else "http://127.0.0.1:9")
        return session

    @property
    def store(self) -> Store:
        wanted = self.config.profile.publish
        made = S3Store(
            endpoint=wanted.endpoint or "",
            bucket=wanted.bucket,
            access_key=self._secret(wanted.access_key),
            secret_key=self._secret(wanted.secret_key),
        )
        return self.world.store or made


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Serve everything; the checkout is tagged, clean and at version 1.2.0."""
    checkout = repository(folder / "checkout", changelog=CHANGELOG, tag="")
    checkout.git("tag", "v1.2.0")
    with ExitStack() as stack:
        bucket = stack.enter_context(Bucket(folder / "bucket", NAME))
        apple = stack.enter_context(AppleStandIn(folder / "apple"))
        api = stack.enter_context(cloudflare.cloudflare())
        site = stack.enter_context(Site(bucket.store()))
        yield World(bucket, apple, api, site, checkout)


def settle(made: World) -> World:
    """Give it back what a production needs, whatever a test before has spoilt."""
    issued = authority.issue(end=NOW + timedelta(days=400))
    fresh = World(
        made.bucket, made.apple, made.cloudflare, made.site, made.checkout,
        overrides={
            "profiles.production.publish.endpoint": made.bucket.endpoint,
            "profiles.production.publish.bucket": NAME,
            "profiles.production.publish.site": SITE,
            "profiles.production.publish.purge_api": made.cloudflare.url,
            "profiles.production.publish.purge_zone": cloudflare.ZONE,
            "profiles.production.publish.purge_token": "env:CLOUDFLARE_API_TOKEN",
            "profiles.production.notary.url": made.apple.notary_url,
        },
        environ={
            "MACOS_DEVELOPER_ID_CERTIFICATE_BASE64": base64.b64encode(issued.p12()).decode(),
            "MACOS_DEVELOPER_ID_CERTIFICATE_PASSWORD": authority.PASSWORD,
            "MACOS_CODE_SIGN_IDENTITY": issued.name,
            "APPLE_TEAM_ID": authority.TEAM,
            "APPLE_NOTARY_ISSUER": made.apple.api_key.issuer,
            "APPLE_NOTARY_KEY_ID": made.apple.api_key.key_id,
            "APPLE_NOTARY_PRIVATE_KEY": made.apple.api_key.private_key_pem.decode(),
            "SPARKLE_PRIVATE_KEY": base64.b64encode(KEY.private_bytes_raw()).decode(),
            "SPARKLE_PUBLIC_ED_KEY": PUBLIC,
            "CLOUDFLARE_ACCOUNT_ID": cloudflare.ACCOUNT,
            "CLOUDFLARE_API_TOKEN": cloudflare.TOKEN,
            "R2_ACCESS_KEY_ID": made.bucket.access_key,
            "R2_SECRET_ACCESS_KEY": made.bucket.secret_key,
        },
    )  # fmt: skip
    fresh.clean()
    for name, value in vars(cloudflare.Cloudflare(made.cloudflare.url, name="example.test")).items():
        setattr(made.cloudflare, name, value)
    return fresh


def finding(found: Diagnosis, name: str) -> Finding:
    return next(one for one in found.findings if one.name == name)


def digest_of(made: World) -> str:
    """SHA-256 of the certificate that signs, hex."""
    import hashlib

    from signing.identity import unlock

    data = base64.b64decode(made.environ["MACOS_DEVELOPER_ID_CERTIFICATE_BASE64"])
    return hashlib.sha256(unlock(data, authority.PASSWORD).leaf.public_bytes(Encoding.DER)).hexdigest()
