"""A public side for tests: small images with real signatures, and a reader who checks what is public."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import history as memory
from appcast import xml
from appcast.feed import Enclosure, Feed, Item
from appcast.history import Identity
from appcast.lint import AppFacts
from release import purge
from release.objects import FEED_KEY, IMAGE_TYPE, for_everybody, image_key, key_of, targets
from release.public import PublicSide
from release.publish import Publication
from release.publisher import Publisher
from release.store import Store
from signing import eddsa
from signing.clock import Clock
from tests.standins.clock import FakeClock
from tests.standins.store import MemoryStore

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = eddsa.public_key(KEY)
SITE = "https://example.test"
LATEST_NAME = "API-for-Cursor-latest.dmg"
LATEST = f"releases/{LATEST_NAME}"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MAINTAINER = Publisher("Maintainer", "maintainer@example.test", commit="c0ffee" * 7, tag="v1.0.0")


def side(store: Store, **changes: Any) -> PublicSide:
    """The public side over a store; its clock stands at the real time."""
    clock: Clock = FakeClock()
    made = PublicSide(store, SITE, LATEST_NAME, (PUBLIC,), lambda: (KEY,), MAINTAINER, purge.nothing, clock)
    return replace(made, **changes)


def image(folder: Path, build: str, size: int = 50_000) -> Path:
    """A file as unlike any other as a disk image is."""
    path = folder / f"API-for-Cursor-1.{build}-{build}.dmg"
    if not path.exists():
        path.write_bytes(os.urandom(size + int(build.split(".")[0])))
    return path


def publication(folder: Path, build: str, etag: str | None = None, **item: Any) -> Publication:
    """Version 1.BUILD with an image of its own, dated BUILD hours after BEGAN; `item`: fields of its item."""
    dmg = image(folder, build)
    enclosure = Enclosure(
        f"{SITE}/releases/{dmg.name}", dmg.stat().st_size, IMAGE_TYPE, signature=eddsa.sign_file(dmg, KEY)
    )
    date = BEGAN + timedelta(hours=float(build.split(".")[0]))
    made = Item(
        build, f"1.{build}", published=date, enclosure=enclosure, minimum_system_version="13.0.0",
        hardware_requirements=("arm64",),
    )  # fmt: skip
    made = replace(made, **item)
    return Publication(f"1.{build}", build, dmg, made, AppFacts(build, "13.0", PUBLIC), merging(made), etag)


def merging(item: Item, *, maximum_versions: int = 3, title: str = "API for Cursor") -> Any:
    """Put an item among those before, as a release does."""

    def merge(before: Feed | None) -> Feed:
        feed = before or Feed(title)
        merged = memory.put(feed, item, item.published or BEGAN, maximum_versions=maximum_versions)
        return memory.record(merged, Identity(PUBLIC, "ab" * 32, "TEAM", item.version, item.version))

    return merge


def public_feed(store: MemoryStore) -> Feed | None:
    """The feed that is public, its signature checked."""
    found = store.objects.get(FEED_KEY)
    return _read(found[1]) if found else None


# A reader looks at every request, and mostly at the same bytes again: what was found of them is kept.


@lru_cache(maxsize=64)
def _read(data: bytes) -> Feed:
    return xml.parse(eddsa.verify_feed(data, PUBLIC), base_url=f"{SITE}/{FEED_KEY}")


@lru_cache(maxsize=256)
def _fits(data: bytes, signature: str) -> bool:
    return eddsa.verify_bytes(data, signature, PUBLIC)


@lru_cache(maxsize=256)
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def offered(store: MemoryStore) -> list[str]:
    """The builds in the public feed."""
    feed = public_feed(store)
    return [item.version for item in feed.items] if feed else []


def look(store: MemoryStore) -> None:
    """Assert what holds for a reader at any moment: all that the feed and what is kept points to is there."""
    feed = public_feed(store)
    for item in feed.items if feed else ():
        for url, length in targets(item):
            data = store.objects[key_of(url) or ""][1]
            assert length in (None, len(data))
        assert item.enclosure and item.enclosure.signature
        image_data = store.objects[image_key(item) or ""][1]
        assert _fits(image_data, item.enclosure.signature)
    if LATEST in store.objects:
        known = [key for key in store.objects if key.endswith(".dmg") and key != LATEST]
        assert digest(store, LATEST) in {digest(store, key) for key in known}


def watch(store: MemoryStore) -> None:
    """Look now, and before and after every request from now on."""
    look(store)
    store.before = store.after = lambda method, key: look(store)


def settled(store: MemoryStore) -> None:
    """Assert what holds once nobody writes: `latest` is the newest for everybody, the feed is kept."""
    look(store)
    feed = public_feed(store)
    newest = image_key(for_everybody(feed)) if feed else None
    assert newest is None or digest(store, LATEST) == digest(store, newest)
    kept = [data for key, (_, data) in store.objects.items() if key.startswith("feeds/")]
    assert feed is None or store.objects[FEED_KEY][1] in kept


def digest(store: MemoryStore, key: str) -> str:
    """SHA-256 of an object, hex."""
    return _sha256(store.objects[key][1])
