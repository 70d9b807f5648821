"""The public side as its maintainers hold it: the bucket, the feed in it, the keys, the caches before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from appcast.feed import Feed, Item
from errors import Exit, Fault
from release.feed import open_feed, signer_of
from release.history import Kept
from release.objects import FEED_KEY, RELEASES, for_everybody, image_key
from release.publisher import Publisher
from release.purge import Purge
from release.store import Store
from signing.clock import Clock
from signing.eddsa import PrivateKey, public_key


@dataclass(frozen=True, slots=True)
class PublicFeed:
    """The feed that is public now; `signer` is the public key that verified it."""

    kept: Kept
    feed: Feed
    signer: str

    @property
    def etag(self) -> str:
        """The entity tag of exactly these bytes."""
        return self.kept.object.etag

    @property
    def data(self) -> bytes:
        """The signed feed."""
        return self.kept.data

    @property
    def newest(self) -> Item | None:
        """The newest item for everybody."""
        return for_everybody(self.feed)


@dataclass(frozen=True, slots=True)
class PublicSide:
    """What it takes to look at what is public, and to change it.

    `keys` are the public keys that may have signed the feed. `signers` fetches the private ones, which only
    a change needs.
    """

    store: Store
    site: str
    latest_name: str
    keys: tuple[str, ...]
    signers: Callable[[], Sequence[PrivateKey]]
    publisher: Publisher
    purge: Purge
    clock: Clock

    @property
    def feed_url(self) -> str:
        """Where installed apps look for updates."""
        return f"{self.site}/{FEED_KEY}"

    @property
    def latest_key(self) -> str:
        """Where the download button leads."""
        return RELEASES + self.latest_name

    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def url(self, key: str) -> str:
        """Where an object is public."""
        return f"{self.site}/{key}"

    def read(self) -> PublicFeed | None:
        """Fetch the feed and check its signature; None if there is none. Raises FeedSignatureFault."""
        found = self.store.get(FEED_KEY)
        if found is None:
            return None
        kept = Kept(*found)
        feed = open_feed(kept.data, self.feed_url, self.keys)
        return PublicFeed(kept, feed, signer_of(kept.data, self.keys) or "")

    def in_line(self, feed: Feed) -> bool:
        """Tell whether `latest` is what a feed offers everybody."""
        wanted = image_key(for_everybody(feed))
        if wanted is None:
            return True
        image, now = self.store.head(wanted), self.store.head(self.latest_key)
        return image is not None and now is not None and (image.sha256, image.size) == (now.sha256, now.size)

    def require(self) -> PublicFeed:
        """Fetch the feed as `read` does. Raises Fault, status PUBLISH, if there is none."""
        found = self.read()
        if found is None:
            raise Fault(
                "nothing has been published yet",
                where=self.feed_url,
                cure="./invoke release publishes",
                status=Exit.PUBLISH,
            )
        return found

    def signer(self, wanted: str | None) -> PrivateKey:
        """Return the private half of a public key, or if that is None the app's own, which is the last.

        A feed is signed by the key that signed the one before it, unless a release hands over to another:
        installed apps know that one.
        """
        keys = self.signers()
        found = [key for key in keys if wanted in (None, public_key(key))]
        if not found:
            raise Fault(
                f"the private key that belongs to {wanted} is not at hand",
                cure="it signed what is public now; set sparkle.private_key or sparkle.retiring_key to it",
                status=Exit.SECRET,
            )
        return found[-1]
