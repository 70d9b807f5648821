"""The feed of this app: one release turned into an item and put among those that are public."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appcast import xml
from appcast.feed import Enclosure, Feed, Item, merge
from release.config import Config
from release.version import Version
from signing import eddsa

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from release.services import Services

KEY = "appcast.xml"


def item_for(
    config: Config, version: Version, *, image_name: str, signature: str, length: int, notes: str, now: int
) -> Item:
    """The item that offers this release. `length` in bytes, `signature` base64, `notes` HTML, `now` epoch."""
    return Item(
        version=version.build,
        short_version=version.version,
        title=f"{config.app.name} {version.version}",
        link=config.site,
        description=notes,
        published=datetime.fromtimestamp(now, UTC),
        minimum_system_version=_three_parts(config.app.minimum_system),
        # Sparkle reads this from a child element only; as an attribute it would be ignored, and Intel Macs
        # would be offered a build that they can't run.
        hardware_requirements=("arm64",) if config.app.arch == "arm64" else (),
        enclosure=Enclosure(
            url=f"{config.site}/releases/{image_name}",
            length=length,
            type="application/x-apple-diskimage",
            signature=signature,
        ),
    )


def feed_with(published: bytes | None, item: Item, config: Config, key: Ed25519PrivateKey) -> bytes:
    """The signed feed: what is public (its signature checked first) with `item` on top."""
    feed = Feed(title=config.app.name, link=config.feed_url, language="en")
    if published is not None:
        feed = xml.parse(eddsa.verify_feed(published, eddsa.public_key(key)), base_url=config.feed_url)
    return eddsa.sign_feed(xml.render(merge(feed, item)), key)


def published_builds(services: Services) -> list[str]:
    """Builds that the public feed offers now; empty if there is no feed yet."""
    found = services.store.get(KEY)
    if found is None:
        return []
    feed = xml.parse(eddsa.verify_feed(found[1], services.sparkle_public_key))
    return [item.version for item in feed.items]


def _three_parts(system: str) -> str:
    parts = system.split(".")
    return ".".join([*parts, "0", "0"][:3])
