"""Which keys may have signed what. See release/continuity.py for how keys change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appcast.feed import Feed, Item, highest
from appcast.history import Identity, identities
from appcast.versions import compare
from release.continuity import hands_over, installed_before
from release.verify.expected import Expected
from release.verify.feed import PublicFeed
from release.verify.image import Inspected, address
from release.verify.rows import Rows, Wrong
from signing import eddsa


def predecessor(feed: Feed, item: Item) -> Item | None:
    """Return the item before one in which the key changed: its app holds the key that may have signed."""
    own = next((one for one in identities(feed) if _within(one, item.version)), None)
    before = installed_before(feed, item.version)
    if before is None or (own is not None and own.public_key == before.public_key):
        return None
    return highest(feed, lambda other: compare(other.version, item.version) < 0)


def _within(signed: Identity, build: str) -> bool:
    return compare(signed.first, build) <= 0 <= compare(signed.last, build)


@dataclass(frozen=True, slots=True)
class Judges:
    """Knows the apps that were looked at, by their images' addresses, and tells whose keys count."""

    feed: Feed
    expected: Expected
    inspected: Mapping[str, Inspected]

    def keys(self, item: Item) -> tuple[str, ...]:
        """Return the keys that may have signed an item's files, the first choice first.

        The app's own. While a key retires, the one before: if the feed's record says that this release hands
        over, and the app before has that key and was signed by the same certificate.
        """
        if self.expected.signed_by is not None:
            return (self.expected.signed_by,)
        mine = self.inspected.get(address(item))
        if mine is None or mine.key is None:
            return (self.expected.key,) if self.expected.key else ()
        before = self._before(item)
        if before is None or before.key is None or mine.certificate != before.certificate:
            return (mine.key,)
        handing = hands_over(self.feed, item.version, key=mine.key, retiring=before.key)
        return (mine.key, before.key) if handing else (mine.key,)

    def _before(self, item: Item) -> Inspected | None:
        older = predecessor(self.feed, item)
        return None if older is None else self.inspected.get(address(older))


def check_image(judges: Judges, seen: Inspected) -> None:
    """Check who signed an image and its statements."""
    rows, keys = seen.rows, judges.keys(seen.item)
    if seen.download is None:
        return
    if not keys:
        rows.skip("update signature", "the app's key is not known")
        return
    image = seen.download
    signature = seen.item.enclosure.signature if seen.item.enclosure else None
    rows.run(
        "update signature",
        lambda: _said(
            keys, seen.key, [key for key in keys if eddsa.verify_file(image.path, signature or "", key)]
        ),
        image.answer.url,
    )
    if seen.statements is not None:
        seen.statements.check_signed(image.sha256, keys, rows)


def check_feed(judges: Judges, public: PublicFeed, rows: Rows) -> None:
    """Check who signed the feed: whoever signed its newest build."""
    newest = highest(public.feed) or public.item
    keys = judges.keys(newest)
    mine = judges.inspected.get(address(newest))
    if not keys:
        rows.skip("feed signature", "the newest app's key is not known")
        return

    def check() -> tuple[None, str]:
        fitting = [key for key in keys if _signed_feed(public.data, key)]
        if not fitting:
            eddsa.verify_feed(public.data, keys[0])  # raises what is wrong
        return _said(keys, mine.key if mine else None, fitting)

    rows.run("feed signature", check, public.url)


def check_app_key(judges: Judges, public: PublicFeed, rows: Rows) -> None:
    """Hold the key in the release's app against the one that whoever verifies knows."""
    wanted, seen = judges.expected.key, judges.inspected.get(address(public.item))
    if wanted is None or seen is None:
        return

    def check() -> tuple[None, str]:
        if seen.key != wanted:
            raise Wrong(
                "the app trusts another key",
                expected=wanted,
                found=seen.key or "none",
                cure="if you did not change keys, take the release back: ./invoke rollback",
            )
        return None, f"{wanted[:12]}…, as it should be"

    rows.run("app's key", check)


def _signed_feed(data: bytes, key: str) -> bool:
    try:
        eddsa.verify_feed(data, key)
    except eddsa.FeedSignatureFault:
        return False
    return True


def _said(keys: Sequence[str], own: str | None, fitting: Sequence[str]) -> tuple[None, str]:
    """Name the key that fits; raise Wrong if none does."""
    if not fitting:
        tried = " or ".join(keys)
        raise Wrong(
            "the EdDSA signature does not fit file and key",
            expected=f"made by {tried}",
            cure="sign the very bytes that are public, with the key of the installed apps, as a new build",
        )
    key = fitting[0]
    note = "the app's own" if key == own else "not the app's own: one key retires, or you named it"
    return None, f"EdDSA, key {key[:12]}…, {note}"
