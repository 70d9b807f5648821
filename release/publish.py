"""Publish a release so that nothing public ever points at what is not there.

The order is the whole point: the versioned image, only ever created; read back and compared; then the feed,
in place of the very feed it was built from; then `latest`. Whoever reads in between, or after a crash
anywhere, finds the old release or the new one, whole. Publishing again finishes what was begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from appcast import xml
from appcast.feed import Feed, Item, highest
from errors import Exit, Fault
from release.s3 import Changed
from release.store import Object, Store, digest_of
from release.upload import Progress

FEED_KEY = "appcast.xml"
RELEASES = "releases/"
FEED_TYPE = "application/rss+xml; charset=utf-8"
IMAGE_TYPE = "application/x-apple-diskimage"
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60, stale-while-revalidate=300"

Action = Literal["sent", "copied", "unchanged", "left"]


@dataclass(frozen=True, slots=True)
class PublicPage:
    """Notes beside the feed. `versioned` ones never change; others are replaced by each release."""

    name: str
    data: bytes
    content_type: str
    versioned: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be public. `feed_etag`: the etag of the feed that `appcast` was built from, None if none."""

    app_name: str
    version: str
    build: str
    dmg: Path
    dmg_name: str
    appcast: bytes
    feed_etag: str | None
    latest_name: str = ""
    for_everybody: bool = True  # else `latest`, where the download button leads, stays as it is
    pages: tuple[PublicPage, ...] = ()

    @property
    def image_key(self) -> str:
        """Where the image stays for good."""
        return RELEASES + self.dmg_name

    @property
    def latest_key(self) -> str:
        """Where the download button leads."""
        return RELEASES + (self.latest_name or self.app_name.replace(" ", "-") + "-latest.dmg")


@dataclass(frozen=True, slots=True)
class Placed:
    """One object and what was done for it. `size` in bytes."""

    key: str
    action: Action
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Published:
    """What is public now."""

    dmg_sha256: str
    objects: tuple[Placed, ...]

    @property
    def sent(self) -> int:
        """Bytes of bodies sent."""
        return sum(placed.size for placed in self.objects if placed.action == "sent")

    @property
    def note(self) -> str:
        """One line for the release's closing table."""
        if all(placed.action in ("unchanged", "left") for placed in self.objects):
            return "public already, nothing sent"
        doings = (f"{placed.key.removeprefix(RELEASES)} {placed.action}" for placed in self.objects)
        return f"{self.sent / 1e6:.1f} MB sent: " + ", ".join(doings)


def publish(store: Store, publication: Publication, *, on_progress: Progress | None = None) -> Published:
    """Make a release public; safe to repeat, and free of uploads if it is public already.

    `on_progress` counts bytes: the image once up and once read back. Raises Fault CONFLICT where somebody
    else's bytes or feed are in the way (nothing is overwritten), PUBLISH where the bucket does not hold what
    the feed would point to, NETWORK and SECRET as the store does.
    """
    digest = digest_of(publication.dmg)
    image = _place_image(store, publication, digest, on_progress)
    pages = tuple(_place_page(store, page) for page in publication.pages)
    _require_targets(store, _read_feed(publication))
    feed = _place_feed(store, publication)
    latest = _place_latest(store, publication, digest, image, feed)
    return Published(digest, (image, *pages, feed, latest))


def _place_image(store: Store, release: Publication, digest: str, on_progress: Progress | None) -> Placed:
    key, size = release.image_key, release.dmg.stat().st_size
    action: Action = "unchanged"
    if store.head(key) is None:
        try:
            store.put(
                key,
                release.dmg,
                content_type=IMAGE_TYPE,
                cache_control=IMMUTABLE,
                disposition=_attachment(release.dmg_name),
                if_none_match="*",
                sha256=digest,
                on_progress=_shifted(on_progress, 0, size),
            )
            action = "sent"
        except Changed:
            pass  # somebody was faster, or it was us and the answer got lost: the bytes tell
    found = _read_back(store, key, _shifted(on_progress, size, size))
    if found.sha256 != digest and action == "sent":  # ours alone, and nothing points at it yet
        store.delete(key)
        raise Fault(
            "the image arrived damaged and was removed again",
            where=key,
            details=(f"sent: sha256 {digest}", f"came: sha256 {found.sha256}, {found.size} bytes"),
            cure="run it again",
            status=Exit.PUBLISH,
        )
    if found.sha256 != digest:
        raise Fault(
            f"another image is public under this name already: {release.dmg_name}",
            where=key,
            details=(f"public: sha256 {found.sha256}", f"yours:  sha256 {digest}"),
            cure="choose a higher build number: what was public once never changes",
            status=Exit.CONFLICT,
        )
    return Placed(key, action, size, found.etag)


def _place_page(store: Store, page: PublicPage) -> Placed:
    """Put notes where the feed will point. Like an image, a versioned page is only ever created."""
    key, caching = RELEASES + page.name, IMMUTABLE if page.versioned else SHORT
    there = store.get(key)
    if there is None or (there[1] != page.data and not page.versioned):
        try:
            etag = store.put(
                key,
                page.data,
                content_type=page.content_type,
                cache_control=caching,
                if_match=there[0].etag if there else None,
                if_none_match=None if there else "*",
            )
        except Changed:
            there = store.get(key)
        else:
            return Placed(key, "sent", len(page.data), etag)
    if there is None or there[1] != page.data:
        raise Fault(
            f"other notes are public under this name already: {page.name}",
            where=key,
            cure="choose a higher build number: what was public once never changes"
            if page.versioned
            else "run the release again",
            status=Exit.CONFLICT,
        )
    return Placed(key, "unchanged", len(page.data), there[0].etag)


def _read_back(store: Store, key: str, on_progress: Progress | None) -> Object:
    """Download an object and hash what comes; the result's sha256 and size are of those bytes."""
    head = store.head(key)
    if head is None:
        raise Fault("the bucket has lost an object", where=key, cure="run it again", status=Exit.PUBLISH)
    hasher, done = hashlib.sha256(), 0
    with store.open(key, if_match=head.etag) as chunks:
        for chunk in chunks:
            hasher.update(chunk)
            done += len(chunk)
            if on_progress:
                on_progress(done, head.size)
    return replace(head, size=done, sha256=hasher.hexdigest())


def _read_feed(release: Publication) -> Feed:
    feed = xml.parse(release.appcast)
    offered = {_name(item.enclosure.url) for item in feed.items if item.enclosure}
    if release.dmg_name not in offered:
        raise Fault(
            f"the feed does not offer {release.dmg_name}",
            cure="write the feed again: ./invoke release --from appcast",
            status=Exit.APPCAST,
        )
    return feed


def _require_targets(store: Store, feed: Feed) -> None:
    """Refuse a feed that points to an object which is not in the bucket, or of another length."""
    present = {found.key: found.size for found in store.list(RELEASES)}
    problems = []
    for item in feed.items:
        for url, length in _targets(item):
            name = _name(url)
            size = present.get(RELEASES + name) if name else None
            if name and size is None:
                problems.append(f"version {item.version}: {name} is not there")
            elif name and length is not None and size != length:
                problems.append(f"version {item.version}: {name} has {size} bytes, not {length}")
    if problems:
        raise Fault(
            "the feed points at what the bucket does not hold",
            details=tuple(problems),
            cure="put the objects back, or take the items out of the feed",
            status=Exit.PUBLISH,
        )


def _targets(item: Item) -> Iterator[tuple[str, int | None]]:
    """Yield what an item points to, with its length in bytes where the feed says it."""
    if item.enclosure:
        yield item.enclosure.url, item.enclosure.length
    for link in (*item.release_notes, *item.full_release_notes):
        yield link.url, link.length


def _place_feed(store: Store, release: Publication) -> Placed:
    size = len(release.appcast)
    current = store.get(FEED_KEY)
    if current is not None and current[1] == release.appcast:
        return Placed(FEED_KEY, "unchanged", size, current[0].etag)
    try:
        etag = store.put(
            FEED_KEY,
            release.appcast,
            content_type=FEED_TYPE,
            cache_control=SHORT,
            if_match=release.feed_etag,
            if_none_match=None if release.feed_etag else "*",
        )
    except Changed as error:
        current = store.get(FEED_KEY)
        if current is not None and current[1] == release.appcast:  # written, but the answer got lost
            return Placed(FEED_KEY, "sent", size, current[0].etag)
        raise _overtaken(current[1] if current else None) from error
    return Placed(FEED_KEY, "sent", size, etag)


def _overtaken(public: bytes | None) -> Fault:
    newest = highest(xml.parse(public)) if public else None
    offers = f"it offers {newest.version} ({newest.short_version})" if newest else "it is empty or gone"
    return Fault(
        "the public feed has changed since this one was built from it",
        where=FEED_KEY,
        details=(f"now {offers}",),
        cure="run the release again: it merges with what is public now",
        status=Exit.CONFLICT,
    )


def _place_latest(store: Store, release: Publication, digest: str, image: Placed, feed: Placed) -> Placed:
    key = release.latest_key
    now = store.head(key)
    if not release.for_everybody:
        return Placed(key, "left", image.size, now.etag if now else "")
    if now is not None and (now.sha256, now.size, now.cache_control) == (digest, image.size, SHORT):
        return Placed(key, "unchanged", image.size, now.etag)
    public = store.head(FEED_KEY)
    if public is None or public.etag != feed.etag:  # a newer release is out: `latest` is its business
        return Placed(key, "left", image.size, now.etag if now else "")
    source = Object(image.key, image.size, image.etag, sha256=digest)
    disposition = _attachment(release.dmg_name)
    etag = store.copy(source, key, content_type=IMAGE_TYPE, cache_control=SHORT, disposition=disposition)
    return Placed(key, "copied", image.size, etag)


def _name(url: str) -> str | None:
    """Return an object's name if the URL is one of ours: `…/releases/<name>`."""
    folder, _, name = urlsplit(url).path.rpartition("/")
    return unquote(name) if folder.endswith("/releases") else None


def _attachment(name: str) -> str:
    return f'attachment; filename="{name}"'


def _shifted(report: Progress | None, offset: int, size: int) -> Progress | None:
    """Let one half of the work count within the whole: up, then back."""
    if report is None:
        return None
    return lambda done, _: report(offset + done, 2 * size)
