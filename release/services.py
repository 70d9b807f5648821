"""Whom a release talks to: who signs, who notarizes, where it publishes.

Built from the configuration, started when first asked for, stopped at the end. This is the only module that
knows which stand-in takes whose place in a rehearsal; the steps see Protocols.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from commands import Runner
from errors import Exit, Fault
from release import webhook
from release.config import Config
from release.places import Places
from signing import secrets
from signing.clock import Clock, SystemClock

if TYPE_CHECKING:
    import requests
    from cryptography.x509 import Certificate

    from release.inputs import Cache, Pin
    from release.public import PublicSide
    from release.purge import Purge
    from release.rehearsal.apple import AppleStandIn
    from release.rehearsal.bucket import Bucket
    from release.store import Store
    from signing.eddsa import PrivateKey
    from signing.identity import Identity, Unlocked
    from signing.notarytool import ToolCredentials
    from signing.plan import Signer
    from signing.submission import Notary


class Services:
    """The outside of one release. Use as a context manager."""

    def __init__(
        self, config: Config, places: Places, runner: Runner, epoch: int, *, clock: Clock | None = None
    ) -> None:
        self.config = config
        self.runner = runner
        self.clock = clock or SystemClock()
        self._places = places
        self._epoch = epoch
        # Whether this release is signed with the retiring key: see release/continuity.py.
        self.hand_over = False
        self._stack = ExitStack()

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # inputs

    @cached_property
    def cache(self) -> Cache:
        """The user's cache of pinned inputs."""
        from release.inputs import Cache

        return Cache()

    @cached_property
    def pins(self) -> dict[str, Pin]:
        """The pinned inputs of this profile, by name."""
        from release.inputs import parse

        return parse(self.config.inputs, where=f"inputs.{self.config.profile_name}")

    # signing

    @cached_property
    def _unlocked(self) -> Unlocked:
        """The configured .p12, opened in memory and found fit to sign."""
        from release import identity

        found = identity.open_p12(self.config, self._secret)
        self._require(found.leaf)
        return found

    @cached_property
    def identity(self) -> Identity:
        """Who signs when the portable signer does it."""
        from signing import identity

        wanted = self.config.profile.signing
        if self.config.rehearsal and wanted.certificate is None:
            home = self._places.rehearsal / "identity"
            return identity.throwaway(home, name=wanted.name, team_id=self._value(wanted.team_id))
        return identity.keep(self._unlocked, self._private_folder("identity"))

    @cached_property
    def certificate(self) -> Certificate:
        """The certificate that signs, in force and of the right team and name. Raises BadIdentity."""
        from release import identity

        if identity.in_keychains(self.config):
            from signing import keychain

            found = keychain.find(self._value(self.config.profile.signing.name), runner=self.runner)
            self._require(found)
            return found
        return self._unlocked.leaf if self.signs_natively else self.identity.certificate

    def _require(self, leaf: Certificate) -> None:
        from release import identity

        name, now = self._value(self.config.profile.signing.name), datetime.now(UTC)
        identity.require(leaf, self.config, team=self.team_id, name=name, now=now)

    @cached_property
    def signs_natively(self) -> bool:
        """Whether codesign signs."""
        from release import identity

        return identity.natively(self.config)

    @cached_property
    def keychain(self) -> Path | None:
        """The keychain of this release, with its identity; None where the Mac's own have it."""
        from release import identity
        from signing import keychain

        if identity.in_keychains(self.config):
            return None
        held = keychain.temporary(self._unlocked, runner=self.runner)
        return self._stack.enter_context(held).path

    def signer(self) -> Signer:
        """The executor for signing plans."""
        if self.signs_natively:
            from signing.certificate import fingerprint
            from signing.codesign import Codesign

            return Codesign(self.runner, identity=fingerprint(self.certificate), keychain=self.keychain)
        from signing.portable import Portable

        url = self.config.profile.signing.timestamp_url or self.apple.timestamp_url
        return Portable(
            self.identity, timestamp_url=url, signing_time=datetime.fromtimestamp(self._epoch, UTC)
        )

    @property
    def trust(self) -> bytes:
        """The certificate that must have signed, PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def team_id(self) -> str:
        """The Developer ID team that signs."""
        return self._value(self.config.profile.signing.team_id)

    # Apple

    @cached_property
    def apple(self) -> AppleStandIn:
        """Apple's stand-in. Only ever in a rehearsal."""
        if not self.config.rehearsal:
            raise Fault(
                "production has no address for one of Apple's services",
                cure="set signing.timestamp_url, notary.url and notary.ticket_url",
                status=Exit.CONFIG,
            )
        from release.rehearsal.apple import AppleStandIn
        from release.rehearsal.apple_behaviour import Behaviour

        behaviour = Behaviour.parse(self.config.profile.notary.stand_in)
        state = self._places.rehearsal / "apple"
        return self._stack.enter_context(AppleStandIn(state, behaviour=behaviour, epoch=self._epoch))

    @cached_property
    def notarizes_natively(self) -> bool:
        """Whether notarytool submits: on a Mac in production, where there is no API key for the REST client.

        See release.credentials.natively.
        """
        from release.credentials import natively

        return natively(self.config)

    @property
    def webhook_token(self) -> str | None:
        """What lets the notary call the public side; None if it shall not, or there is none.

        notarytool takes the address on its command line, where everybody on the machine can read it: there
        the notary calls nobody, and the release is finished by hand.
        """
        uri = self.config.profile.notary.webhook
        absent = uri is None or self.notarizes_natively or secrets.present(self._placed(uri)) is False
        return None if absent else webhook.check_token(self._secret(uri), uri)

    def notary(self, *, webhook: str | None = None) -> Notary:
        """Whoever judges the image; `webhook` is told when that is done."""
        wanted = self.config.profile.notary
        if self.notarizes_natively:
            from signing.notarytool import Notarytool

            return Notarytool(self.runner, credentials=self._tool_credentials)
        from signing.notary import ApiKey, NotaryClient

        if wanted.url is None:
            apple = self.apple
            return NotaryClient(
                apple.notary_url,
                key=apple.api_key,
                s3_endpoint=apple.s3_url,
                webhook=webhook,
                clock=self.clock,
            )
        pem = self._secret(wanted.private_key).encode()
        key = ApiKey(self._secret(wanted.issuer), self._secret(wanted.key_id), pem)
        return NotaryClient(wanted.url, key=key, webhook=webhook, clock=self.clock)

    @cached_property
    def _tool_credentials(self) -> ToolCredentials:
        """How notarytool says who asks: a profile of the Keychain's, an API key, or an Apple ID."""
        from signing import keychain, notarytool

        wanted = self.config.profile.notary
        if wanted.keychain_profile is not None:
            return notarytool.KeychainProfile(wanted.keychain_profile)
        if wanted.private_key is not None and secrets.present(wanted.private_key) is not False:
            path = self._private_folder("notary") / "key.p8"
            path.touch(mode=0o600)
            path.write_text(self._secret(wanted.private_key) + "\n")
            return notarytool.KeyFile(path, self._secret(wanted.key_id), self._secret(wanted.issuer))
        apple_id, password = self._secret(wanted.apple_id), self._secret(wanted.password)
        return notarytool.store(
            "api-for-cursor",
            apple_id,
            self.team_id,
            password,
            runner=self.runner,
            keychain=self._stack.enter_context(keychain.temporary(None, runner=self.runner)).path,
        )

    @property
    def staples_natively(self) -> bool:
        """Whether stapler staples: on a Mac, unless the ticket is a stand-in's, which Apple does not have."""
        from release.identity import native

        return native(self.config.profile.notary.way, sys.platform == "darwin" and not self.config.rehearsal)

    def ticket_url(self) -> str:
        """Where tickets are looked up."""
        return self.config.profile.notary.ticket_url or self.apple.ticket_url

    # Sparkle

    @cached_property
    def sparkle_key(self) -> PrivateKey:
        """The private EdDSA key, checked against the public one that installed apps trust. Fault SECRET."""
        from signing import eddsa

        wanted = self.config.profile.sparkle
        uri = self._placed(wanted.private_key)
        if self.config.rehearsal and uri.startswith("file:") and not Path(uri[5:]).exists():
            Path(uri[5:]).parent.mkdir(parents=True, exist_ok=True)
            eddsa.generate(Path(uri[5:]))
        key = eddsa.load(uri, environ=os.environ, runner=self.runner)
        public = eddsa.public_key(key)
        trusted = None if wanted.public_key is None else self._value(wanted.public_key)
        if trusted is not None and public != trusted:
            raise Fault(
                f"the private EdDSA key belongs to {public}, installed apps trust {trusted}",
                where=wanted.private_key,
                cure="use the right key: an update signed with another one is refused by every installed app",
                status=Exit.SECRET,
            )
        return key

    @property
    def sparkle_public_key(self) -> str:
        """What goes into the app's Info.plist as SUPublicEDKey."""
        from signing import eddsa

        return eddsa.public_key(self.sparkle_key)

    @cached_property
    def retiring_key(self) -> PrivateKey | None:
        """The key that installed apps trust still, during a rotation."""
        from signing import eddsa

        uri = self.config.profile.sparkle.retiring_key
        if uri is None:
            return None
        return eddsa.load(self._placed(uri), environ=os.environ, runner=self.runner)

    @property
    def retiring_public_key(self) -> str | None:
        """The public half of the retiring key."""
        from signing import eddsa

        return None if self.retiring_key is None else eddsa.public_key(self.retiring_key)

    @property
    def signing_key(self) -> PrivateKey:
        """What signs archive, notes and feed: the app's own key, unless this release hands over to it."""
        retiring = self.retiring_key if self.hand_over else None
        return self.sparkle_key if retiring is None else retiring

    @property
    def trusted_keys(self) -> tuple[str, ...]:
        """Public keys that may have signed the feed which is public now; the app's own last.

        Where the public half is configured the private one is not read: looking needs no secret.
        """
        wanted = self.config.profile.sparkle
        own = self._value(wanted.public_key) if wanted.public_key else self.sparkle_public_key
        absent = wanted.retiring_key and secrets.present(self._placed(wanted.retiring_key)) is False
        retiring = None if absent else self.retiring_public_key
        return (own,) if retiring is None else (retiring, own)

    def feed_keys(self) -> tuple[PrivateKey, ...]:
        """The private halves of `trusted_keys`."""
        return (self.sparkle_key,) if self.retiring_key is None else (self.retiring_key, self.sparkle_key)

    # the public side

    @cached_property
    def bucket(self) -> Bucket:
        """The local S3 server. Only ever in a rehearsal."""
        from release.rehearsal.bucket import Bucket

        name = self.config.profile.publish.bucket
        return self._stack.enter_context(Bucket(self._places.rehearsal / "bucket", name))

    @cached_property
    def store(self) -> Store:
        """The bucket that the public side reads."""
        from release.store import S3Store

        wanted = self.config.profile.publish
        if wanted.endpoint is None:
            return self.bucket.store()
        endpoint = wanted.endpoint
        if "{account}" in endpoint:
            endpoint = endpoint.format(account=self._secret(wanted.account))
        access, secret = self._secret(wanted.access_key), self._secret(wanted.secret_key)
        return S3Store(endpoint=endpoint, bucket=wanted.bucket, access_key=access, secret_key=secret)

    @cached_property
    def public_side(self) -> PublicSide:
        """Bucket, feed, keys and caches as those who publish hold them."""
        from release.public import PublicSide
        from release.publisher import publisher

        who = publisher(self.runner, self.config.root, os.environ, rehearsal=self.config.rehearsal)
        return PublicSide(
            store=self.store,
            site=self.config.site,
            latest_name=self.config.image.latest,
            keys=self.trusted_keys,
            signers=self.feed_keys,
            publisher=who,
            purge=lambda urls: self.purge(urls),  # its token is wanted when something has changed
            clock=self.clock,
        )

    @property
    def purge(self) -> Purge:
        """Who makes the caches before the site forget; nobody where no zone is configured."""
        from release import purge

        wanted = self.config.profile.publish
        if wanted.purge_zone is None:
            return purge.nothing
        import requests

        zone, token = self._value(wanted.purge_zone), self._secret(wanted.purge_token)
        return purge.Cloudflare(wanted.purge_api, zone, token, requests.Session(), self.clock)

    def public_session(self) -> requests.Session:
        """HTTP as a user's Mac has it; in a rehearsal the public address leads to the local site."""
        import requests

        session = requests.Session()
        if self.config.rehearsal:
            from release.rehearsal.site import Site, route

            site = self._stack.enter_context(Site(self.store, latest=self.config.image.latest))
            route(session, self.config.site, site.url)
        return session

    # helpers

    def _value(self, text: str) -> str:
        """A setting that may be written as `env:NAME`."""
        return secrets.read(text, public=True) if text.startswith("env:") else text

    def _secret(self, uri: str | None) -> str:
        if uri is None:
            raise Fault("production lacks a credential", cure="see ./invoke config", status=Exit.CONFIG)
        return secrets.read(self._placed(uri), runner=self.runner)

    def _placed(self, uri: str) -> str:
        return placed(uri, self.config.root, self._places.dist)

    def _private_folder(self, name: str) -> Path:
        import tempfile

        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-"))
        return Path(folder)


def placed(uri: str, root: Path, dist: Path) -> str:
    """A `file:` address relative to the checkout, made absolute; below `dist/` it follows --dist."""
    scheme, _, name = uri.partition(":")
    if scheme != "file":
        return uri
    path = Path(name).expanduser()
    if path.parts[:1] == ("dist",):
        return f"file:{dist.joinpath(*path.parts[1:])}"
    return f"file:{root / path}"
