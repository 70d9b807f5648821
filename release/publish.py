"""Publish a release so that nothing public ever points at what is not there.

The order is the whole point: image, attachments and manifest, only ever created; the image read back and
compared; then the feed, in place of the very feed it was built from; then `latest`; then the caches are told.
Whoever reads in between, or after a crash anywhere, finds the old release or the new one, whole. Publishing
again finishes what was begun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from appcast.feed import Feed, Item, find
from appcast.lint import AppFacts
from appcast.rollout import same_but_for_rollout
from errors import Exit, Fault
from release import history, latest, manifest
from release.change import Written, change_feed, overtaken, tell_caches
from release.feed import STABLE, require_no_regression
from release.manifest import Listed, Manifest
from release.objects import (
    FEED_KEY,
    IMAGE_TYPE,
    IMMUTABLE,
    JSON_TYPE,
    RELEASES,
    SHORT,
    Attachment,
    Placed,
    disposition,
    image_key,
)
from release.public import PublicFeed, PublicSide
from release.publisher import tools
from release.s3 import Changed
from release.store import Object, Store, digest_of
from release.upload import Progress
from release.version import key as order
from signing.eddsa import PrivateKey


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be public.

    `item` offers it, `merge` puts it among what is public (None: nothing yet), and may refuse. `feed_etag`:
    the etag of the feed that `item` was made for. `key` signs the feed if it is not the one that did so far.
    """

    version: str
    build: str
    dmg: Path
    item: Item
    app: AppFacts
    merge: Callable[[Feed | None], Feed]
    feed_etag: str | None = None
    attachments: tuple[Attachment, ...] = ()
    key: PrivateKey | None = None
    allow_regression: bool = False

    @property
    def image_key(self) -> str:
        """Where the image stays for good."""
        return RELEASES + self.dmg.name

    @property
    def release(self) -> str:
        """Version and build, as people and file names put it."""
        return f"{self.version}-{self.build}"


@dataclass(frozen=True, slots=True)
class Published:
    """What is public now. `appcast` is the feed, signed; `warnings` are for people to read."""

    dmg_sha256: str
    objects: tuple[Placed, ...]
    latest: Placed
    appcast: bytes
    warnings: tuple[str, ...] = ()

    @property
    def sent(self) -> int:
        """Bytes of bodies sent."""
        return sum(placed.size for placed in self.objects if placed.action == "sent")

    @property
    def note(self) -> str:
        """One line for the release's closing table."""
        if all(placed.action in ("unchanged", "left") for placed in self.objects):
            doings = "public already, nothing sent"
        else:
            sent = [placed for placed in self.objects if placed.action == "sent"]
            doings = f"{self.sent / 1e6:.1f} MB in {len(sent)} objects sent, latest {self.latest.action}"
        return "; ".join((doings, *self.warnings))


def publish(side: PublicSide, release: Publication, *, on_progress: Progress | None = None) -> Published:
    """Make a release public; safe to repeat, and free of uploads if it is public already.

    `on_progress` counts bytes: the image once up and once read back. Raises Fault CONFLICT where somebody
    else's bytes or feed are in the way (nothing is overwritten), VERSION for a build that was withdrawn,
    PUBLISH where the bucket does not hold what the feed would point to, NETWORK and SECRET as the store does.
    """
    _require_offer(release)
    store, digest = side.store, digest_of(release.dmg)
    known = manifest.load(store, manifest.key_of(release.version, release.build))
    image = _place_image(store, release, digest, on_progress, trusted=known is not None)
    attached = [_place_attachment(store, one) for one in release.attachments]
    made, record = _place_manifest(side, release, known, digest)
    written = _write_feed(side, release, resumed=known is not None)
    pointer = latest.follow(side)
    newest = _place_newest(store, made)
    feed = Placed(FEED_KEY, "sent" if written.sent else "unchanged", len(written.data))
    objects = (image, *attached, record, feed, pointer, newest)
    warnings = (*written.warnings, *tell_caches(side, [placed.key for placed in (*attached, newest)]))
    return Published(digest, objects, pointer, written.data, warnings)


def _require_offer(release: Publication) -> None:
    if image_key(release.item) != release.image_key or release.item.version != release.build:
        raise Fault(
            f"the feed does not offer {release.dmg.name}",
            cure="write the feed again: ./invoke release --from appcast",
            status=Exit.APPCAST,
        )


def _place_image(
    store: Store, release: Publication, digest: str, on_progress: Progress | None, *, trusted: bool
) -> Placed:
    """Create the image and read it back. `trusted`: its manifest is there, so that was done before."""
    key, size = release.image_key, release.dmg.stat().st_size
    there = store.head(key)
    if there is not None and trusted and (there.sha256, there.size) == (digest, size):
        return Placed(key, "unchanged", size, there.etag)
    sent = there is None and _create_image(store, release, digest, _shifted(on_progress, 0, size))
    found = _read_back(store, key, _shifted(on_progress, size, size))
    if found.sha256 == digest:
        return Placed(key, "sent" if sent else "unchanged", size, found.etag)
    if sent:  # ours alone, and nothing points at it yet
        store.delete(key)
        raise Fault(
            "the image arrived damaged and was removed again",
            where=key,
            details=(f"sent: sha256 {digest}", f"came: sha256 {found.sha256}, {found.size} bytes"),
            cure="run it again",
            status=Exit.PUBLISH,
        )
    raise Fault(
        f"another image is public under this name already: {release.dmg.name}",
        where=key,
        details=(f"public: sha256 {found.sha256}", f"yours:  sha256 {digest}"),
        cure="choose a higher build number: what was public once never changes",
        status=Exit.CONFLICT,
    )


def _create_image(store: Store, release: Publication, digest: str, on_progress: Progress | None) -> bool:
    """Upload the image; False if somebody was faster, or it was us and the answer got lost."""
    try:
        store.put(
            release.image_key,
            release.dmg,
            content_type=IMAGE_TYPE,
            cache_control=IMMUTABLE,
            disposition=disposition(release.dmg.name),
            if_none_match="*",
            sha256=digest,
            on_progress=on_progress,
        )
    except Changed:
        return False
    return True


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


def _place_attachment(store: Store, attached: Attachment) -> Placed:
    """Put what the feed will point to. Like an image, what is versioned is only ever created."""
    placed = _place(store, attached.key, attached.data, attached.content_type, versioned=attached.versioned)
    if placed is None:
        raise Fault(
            f"another file is public under this name already: {attached.name}",
            where=attached.key,
            cure="choose a higher build number: what was public once never changes"
            if attached.versioned
            else "run the release again",
            status=Exit.CONFLICT,
        )
    return placed


def _place(store: Store, key: str, data: bytes, content_type: str, *, versioned: bool) -> Placed | None:
    """Create an object, or if not `versioned` replace it; None if another one is in the way."""
    there = store.get(key)
    if there is None or (there[1] != data and not versioned):
        try:
            etag = store.put(
                key,
                data,
                content_type=content_type,
                cache_control=IMMUTABLE if versioned else SHORT,
                if_match=there[0].etag if there else None,
                if_none_match=None if there else "*",
            )
        except Changed:
            there = store.get(key)
        else:
            return Placed(key, "sent", len(data), etag)
    if there is None or there[1] != data:
        return None
    return Placed(key, "unchanged", len(data), there[0].etag)


def _place_manifest(
    side: PublicSide, release: Publication, known: Manifest | None, digest: str
) -> tuple[Manifest, Placed]:
    """Create the build's manifest; one of the same objects, whoever wrote it, stays as it is."""
    key = manifest.key_of(release.version, release.build)
    made = _manifest(side, release, digest)
    if known is None:
        data = manifest.render(made)
        placed = _place(side.store, key, data, JSON_TYPE, versioned=True)
        if placed is not None:
            return made, placed
        known = manifest.load(side.store, key)
    if known is None or not known.same_release(made):
        raise Fault(
            f"{release.release} was published with other files already",
            where=key,
            details=_differences(known, made) if known else (),
            cure="choose a higher build number: what was public once never changes",
            status=Exit.CONFLICT,
        )
    return known, Placed(key, "unchanged", len(manifest.render(known)))


def _manifest(side: PublicSide, release: Publication, digest: str) -> Manifest:
    image = Listed(release.image_key, release.dmg.stat().st_size, digest, IMAGE_TYPE)
    fixed = [one for one in release.attachments if one.versioned]
    by, at = side.publisher, side.now().isoformat(timespec="seconds")
    return Manifest(
        version=release.version,
        build=release.build,
        channel=release.item.channel or STABLE,
        minimum_system=release.item.minimum_system_version or "",
        architectures=release.app.architectures,
        ed_signature=release.item.enclosure.signature or "" if release.item.enclosure else "",
        objects=(
            image,
            *(Listed(one.key, len(one.data), digest_of(one.data), one.content_type) for one in fixed),
        ),
        published=manifest.Published(by.name, at, by.run, by.commit, by.tag, by.rehearsal, tools()),
    )


def _differences(public: Manifest, mine: Manifest) -> tuple[str, ...]:
    theirs, ours = ({one.key: one.sha256 for one in each.objects} for each in (public, mine))
    names = sorted(key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key))
    return tuple(
        f"{key.removeprefix(RELEASES)}: public {theirs.get(key, '')[:12]}, yours {ours.get(key, '')[:12]}"
        for key in names
    )


def _write_feed(side: PublicSide, release: Publication, *, resumed: bool) -> Written:
    """Put the item among what is public, even if that is another feed by now than it was made for."""

    def change(before: PublicFeed | None) -> Feed:
        if resumed and before is not None and find(before.feed, release.build) is None:
            _require_new(side, release, before)
        try:
            return _with_item(side, release, before)
        except Fault as fault:
            if before is None or before.etag == release.feed_etag:
                raise
            raise overtaken(before.kept, fault) from fault

    return change_feed(
        side, change, action="publish", release=release.release, key=release.key, app=release.app
    )


def _with_item(side: PublicSide, release: Publication, before: PublicFeed | None) -> Feed:
    public = before.feed if before else None
    mine = find(public, release.build) if public else None
    if public and mine and same_but_for_rollout(mine, release.item):
        return public
    after = release.merge(public)
    if not release.allow_regression:
        require_no_regression(public, after, side.now())
    return after


def _require_new(side: PublicSide, release: Publication, public: PublicFeed) -> None:
    """Refuse a build that was offered once and is no more: some Macs have it, and it was found wanting."""
    by = history.left(side.store, release.build, side.feed_url, public.kept)
    if by is not None:
        raise Fault(
            f"build {release.build} was public and is not offered any more",
            details=(by.deed,),
            cure=f"--build {order(release.build)[0] + 1}, or more: what was withdrawn does not come back",
            status=Exit.VERSION,
        )


def _place_newest(store: Store, made: Manifest) -> Placed:
    """Let the version's manifest be that of its newest build."""
    key, data = manifest.newest_key(made.version), manifest.render(made)
    there = manifest.load(store, key)
    if there is not None and order(there.build) > order(made.build):
        return Placed(key, "left", len(data))
    placed = _place(store, key, data, JSON_TYPE, versioned=False)
    return placed or Placed(key, "left", len(data))  # a newer build's, written this very moment


def _shifted(report: Progress | None, offset: int, size: int) -> Progress | None:
    """Let one half of the work count within the whole: up, then back."""
    if report is None:
        return None
    return lambda done, _: report(offset + done, 2 * size)
