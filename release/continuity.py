"""Keys over time: which one signs a release, what may change in it, and how to get from one to the next.

What Sparkle 2.9 accepts (SUUpdateValidator, SUVerifyUpdateBeforeExtraction on) decides everything:

- An archive is accepted if the installed app's own key signed it. The new app's key is not looked at then.
- Else, if the archive is a disk image signed by the Developer ID team of the installed app, and the new app's
  own key signed it. So a certificate and a key that change at once leave installed apps no way.
- A feed has one signature. An app whose key did not make it takes nothing from that feed for 20 days, and
  after that only bare updates, without notes.

So a rotation takes two releases. The first hands over: the app in it has the new key, archive and feed are
signed with the retiring one, and everybody can update at once. What follows is signed with the new key;
`feed.minimum_update_version` leads those who are late through the first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appcast.feed import Feed
from appcast.history import Identity, identities
from appcast.versions import compare
from appcast.versions import key as order
from errors import Exit, Fault

if TYPE_CHECKING:
    from release.config import Config
    from release.services import Services
    from release.version import Version
    from signing.verify import Report

FEED_PATIENCE = 20  # days until an app takes updates from a feed that its key did not sign

Way = Literal["at once", "late", "by hand"]


class RotationFault(Fault):
    """A change of keys that would cut installed apps off from their updates."""

    status = Exit.SECRET


@dataclass(frozen=True, slots=True)
class Signers:
    """Who stands behind a release: `key` is in the app, `signing_key` signs archive and feed (public halves).

    `certificate` is the signing certificate's SHA-256 (hex), or None while only a keychain knows it.
    """

    key: str
    signing_key: str
    certificate: str | None
    team: str

    def identity(self, build: str) -> Identity:
        """Return the record of a release signed by them."""
        return Identity(self.key, self.certificate or "", self.team, build, build)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether installed builds can take an update, and why."""

    installed: Identity
    way: Way
    why: str


def installed_before(feed: Feed | None, build: str) -> Identity | None:
    """Return who signed the newest recorded release below `build`; None if there is none on record."""
    past = [one for one in identities(feed) if compare(one.first, build) < 0] if feed else []
    return max(past, key=lambda one: order(one.last), default=None)


def hands_over(feed: Feed | None, build: str, *, key: str, retiring: str | None) -> bool:
    """Tell whether the release `build` is the one in which the `retiring` key gives way to `key`."""
    before = installed_before(feed, build)
    return before is not None and retiring == before.public_key != key


def require_continuity(before: Identity | None, now: Signers) -> None:
    """Refuse what installed apps would not accept. Raises RotationFault, naming both sides."""
    if before is None or now.key == before.public_key:
        return
    changes = (f"key: {before.public_key} → {now.key}",)
    if now.certificate not in (None, before.certificate):
        raise RotationFault(
            "key and certificate change in the same release: no installed app would accept it",
            details=(*changes, f"certificate: {before.certificate} → {now.certificate}"),
            cure="change one of them now and the other in a later release",
        )
    if now.signing_key != before.public_key:
        raise RotationFault(
            f"installed apps (build {before.last}) trust another key than this release is signed with",
            details=changes,
            cure="use their key, or hand over: set sparkle.retiring_key to it (./invoke keys.rotate)",
        )


def outlook(installed: Identity, offered: Signers) -> Outlook:
    """Tell how `installed` builds can take an update by `offered`. See the top of this module."""
    if installed.public_key == offered.signing_key:
        return Outlook(installed, "at once", "their key signed archive and feed")
    if not installed.team or installed.team != offered.team:
        return Outlook(installed, "by hand", "they know neither the key nor the team")
    if offered.key != offered.signing_key:
        return Outlook(installed, "by hand", "the new app's own key did not sign the archive")
    return Outlook(
        installed, "late", f"by the image's Developer ID, after {FEED_PATIENCE} days without a feed"
    )


def signers(config: Config, services: Services) -> Signers:
    """Return who would sign a release now."""
    from signing import eddsa

    team, certificate = services.team_id, certificate_digest(services.trust)
    return Signers(services.sparkle_public_key, eddsa.public_key(services.signing_key), certificate, team)


def signed_by(image: Report, services: Services) -> Signers:
    """Return who stands behind a finished release: the certificate is read from the image's own signature."""
    from signing import eddsa

    leaf = image.certificates[0] if image.certificates else b""
    return Signers(
        services.sparkle_public_key,
        eddsa.public_key(services.signing_key),
        hashlib.sha256(leaf).hexdigest(),
        image.team_id or services.team_id,
    )


def certificate_digest(pem: bytes) -> str:
    """Return a certificate's SHA-256 over its DER, hex."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return hashlib.sha256(der).hexdigest()


def check(config: Config, version: Version, services: Services, feed: Feed | None) -> None:
    """Choose the key that signs this release, or refuse it before anything is built: RotationFault."""
    services.hand_over = hands_over(
        feed, version.build, key=services.sparkle_public_key, retiring=services.retiring_public_key
    )
    require_continuity(installed_before(feed, version.build), signers(config, services))
