"""Publishing, watched by a reader who looks at the public side between any two requests."""

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import xml
from appcast.feed import Enclosure, Feed, Item, merge
from errors import Exit, Fault
from release.publish import FEED_KEY, FEED_TYPE, IMAGE_TYPE, IMMUTABLE, SHORT, Publication, publish
from release.rehearsal.bucket import Bucket
from signing import eddsa
from tests.standins.store import MemoryStore

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = eddsa.public_key(KEY)
SITE = "https://example.test"
LATEST = "releases/API-for-Cursor-latest.dmg"


def publication(folder: Path, build: str, before: tuple[str | None, bytes] | None = None) -> Publication:
    """A release with an image of its own, its feed built on the one that is public before."""
    name = f"API-for-Cursor-1.{build}-{build}.dmg"
    dmg = folder / name
    if not dmg.exists():
        dmg.write_bytes(os.urandom(50_000 + int(build)))
    enclosure = Enclosure(f"{SITE}/releases/{name}", dmg.stat().st_size, signature=eddsa.sign_file(dmg, KEY))
    item = Item(build, f"1.{build}", published=datetime(2026, 1, 1, tzinfo=UTC), enclosure=enclosure)
    etag, public = before or (None, b"")
    feed = xml.parse(public) if public else Feed("API for Cursor")
    appcast = eddsa.sign_feed(xml.render(merge(feed, item)), KEY)
    return Publication("API for Cursor", f"1.{build}", build, dmg, name, appcast, etag)


def public_feed(store: MemoryStore) -> tuple[str | None, bytes] | None:
    found = store.objects.get(FEED_KEY)
    return (found[0].etag, found[1]) if found else None


def next_release(store: MemoryStore, folder: Path, build: str) -> Publication:
    return publication(folder, build, public_feed(store))


def look(store: MemoryStore, releases: list[Publication]) -> None:
    """Assert what holds for a reader at any moment."""
    images = {hashlib.sha256(release.dmg.read_bytes()).hexdigest() for release in releases}
    found = public_feed(store)
    if found is not None:
        feed = xml.parse(eddsa.verify_feed(found[1], PUBLIC))
        for item in feed.items:
            assert item.enclosure and item.enclosure.signature
            data = store.objects["releases/" + item.enclosure.url.rpartition("/")[2]][1]
            assert len(data) == item.enclosure.length
            assert eddsa.verify_bytes(data, item.enclosure.signature, PUBLIC)
    if LATEST in store.objects:
        assert hashlib.sha256(store.objects[LATEST][1]).hexdigest() in images


def watch(store: MemoryStore, releases: list[Publication]) -> None:
    """Look now, and before and after every request from now on."""
    look(store, releases)
    store.before = store.after = lambda method, key: look(store, releases)


def complete(store: MemoryStore, release: Publication) -> None:
    assert store.objects[FEED_KEY][1] == release.appcast
    assert store.objects[LATEST][1] == store.objects[release.image_key][1] == release.dmg.read_bytes()


def test_the_first_release_is_published_with_the_right_headers(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    published = publish(store, release)
    complete(store, release)
    image, feed, latest = (store.objects[key][0] for key in (release.image_key, FEED_KEY, LATEST))
    assert (image.content_type, image.cache_control) == (IMAGE_TYPE, IMMUTABLE)
    assert (latest.content_type, latest.cache_control) == (IMAGE_TYPE, SHORT)
    assert (feed.content_type, feed.cache_control, feed.disposition) == (FEED_TYPE, SHORT, None)
    assert image.disposition == latest.disposition == f'attachment; filename="{release.dmg_name}"'
    assert published.dmg_sha256 == hashlib.sha256(release.dmg.read_bytes()).hexdigest()
    assert [placed.action for placed in published.objects] == ["sent", "sent", "copied"]


def test_the_order_of_writes(tmp_path):
    store = MemoryStore()
    first = publication(tmp_path, "1")
    publish(store, first)
    second = next_release(store, tmp_path, "2")
    store.requests.clear()
    publish(store, second)
    writes = [key for method, key in store.requests if method in ("put", "copy", "delete")]
    assert writes == [second.image_key, FEED_KEY, LATEST]
    read_back = store.requests.index(("open", second.image_key))
    assert store.requests.index(("put", second.image_key)) < read_back
    assert read_back < store.requests.index(("put", FEED_KEY))


def test_publishing_again_sends_nothing(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    publish(store, release)
    store.requests.clear()
    again = publish(store, replace(release, feed_etag='"stale"'))
    assert {method for method, _ in store.requests} <= {"head", "get", "open", "list"}
    assert again.sent == 0 and "nothing sent" in again.note


def test_progress_counts_up_and_back(tmp_path):
    release = publication(tmp_path, "1")
    seen: list[tuple[int, int]] = []
    publish(MemoryStore(), release, on_progress=lambda done, total: seen.append((done, total)))
    size = release.dmg.stat().st_size
    assert seen == [(size, 2 * size), (2 * size, 2 * size)]


class Crash(Exception):
    pass


def crash_at(number: int, when: str, store: MemoryStore) -> None:
    left = [number]

    def count(method: str, key: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash(f"{when} {method} {key}")

    setattr(store, when, count)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_request_leaves_the_old_or_the_new_release_and_can_be_finished(tmp_path, when):
    template = MemoryStore()
    first = publication(tmp_path, "1")
    publish(template, first)
    second = next_release(template, tmp_path, "2")
    crashes = 0
    while True:
        store = MemoryStore(objects=dict(template.objects))
        crash_at(crashes, when, store)
        try:
            publish(store, second)
        except Crash:
            crashes += 1
        else:
            break
        watch(store, [first, second])
        publish(store, second)
        complete(store, second)
        assert store.objects[first.image_key][1] == first.dmg.read_bytes()
    assert crashes >= 8


def test_a_reader_between_any_two_requests_sees_whole_releases(tmp_path):
    store = MemoryStore()
    releases: list[Publication] = []
    watch(store, releases)
    for build in ["1", "2", "3"]:
        releases.append(next_release(store, tmp_path, build))
        publish(store, releases[-1])
        complete(store, releases[-1])
    assert [item.version for item in xml.parse(store.objects[FEED_KEY][1]).items] == ["3", "2", "1"]


def test_other_bytes_under_the_same_name_are_a_conflict_that_names_both(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    publish(store, release)
    kept = dict(store.objects)
    other = replace(release, dmg=tmp_path / "other.dmg")
    other.dmg.write_bytes(os.urandom(release.dmg.stat().st_size))
    with pytest.raises(Fault, match="another image") as caught:
        publish(store, other)
    assert caught.value.status == Exit.CONFLICT
    for file in (release.dmg, other.dmg):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in str(caught.value)
    assert store.objects == kept


def test_an_upload_that_arrives_damaged_is_removed_and_never_offered(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")

    def damage(method: str, key: str) -> None:
        if method == "put":
            found, data = store.objects[key]
            store.objects[key] = (found, data[:-1] + bytes([data[-1] ^ 1]))

    store.after = damage
    with pytest.raises(Fault, match="arrived damaged") as caught:
        publish(store, release)
    assert caught.value.status == Exit.PUBLISH and not store.objects
    store.after = lambda method, key: None
    publish(store, release)
    complete(store, release)


def test_the_loser_of_a_race_changes_nothing(tmp_path):
    store = MemoryStore()
    publish(store, publication(tmp_path, "1"))
    mine, theirs = next_release(store, tmp_path, "2"), next_release(store, tmp_path, "3")
    publish(store, theirs)
    with pytest.raises(Fault, match="has changed since") as caught:
        publish(store, mine)
    assert caught.value.status == Exit.CONFLICT and "now it offers 3" in str(caught.value)
    complete(store, theirs)


def test_two_first_releases_cannot_both_create_the_feed(tmp_path):
    store = MemoryStore()
    mine, theirs = publication(tmp_path, "1"), publication(tmp_path, "2")
    publish(store, theirs)
    with pytest.raises(Fault) as caught:
        publish(store, mine)
    assert caught.value.status == Exit.CONFLICT
    complete(store, theirs)


def test_latest_is_left_to_whoever_published_since(tmp_path):
    store = MemoryStore()
    publish(store, publication(tmp_path, "1"))
    mine = next_release(store, tmp_path, "2")
    done: list[Publication] = []

    def overtake(method: str, key: str) -> None:
        if (method, key) == ("put", FEED_KEY) and not done:
            done.append(next_release(store, tmp_path, "3"))
            publish(store, done[0])

    store.after = overtake
    published = publish(store, mine)
    assert published.objects[-1].action == "left"
    complete(store, done[0])


def test_a_feed_that_points_at_nothing_is_not_published(tmp_path):
    store = MemoryStore()
    publish(store, publication(tmp_path, "1"))
    release = next_release(store, tmp_path, "2")
    before = store.objects.pop("releases/API-for-Cursor-1.1-1.dmg")
    with pytest.raises(Fault, match="does not hold") as caught:
        publish(store, release)
    assert caught.value.status == Exit.PUBLISH and "API-for-Cursor-1.1-1.dmg is not there" in str(
        caught.value
    )
    short = replace(before[0], size=7)
    store.objects[short.key] = (short, before[1])
    with pytest.raises(Fault, match="has 7 bytes"):
        publish(store, release)
    assert FEED_KEY in store.objects and release.appcast != store.objects[FEED_KEY][1]


def test_a_feed_without_the_release_is_not_published(tmp_path):
    store = MemoryStore()
    one, two = publication(tmp_path, "1"), publication(tmp_path, "2")
    with pytest.raises(Fault, match="does not offer") as caught:
        publish(store, replace(one, appcast=two.appcast))
    assert caught.value.status == Exit.APPCAST and FEED_KEY not in store.objects


def test_images_elsewhere_are_not_looked_for(tmp_path):
    release = publication(tmp_path, "2")
    old = Item("1", enclosure=Enclosure("https://elsewhere.test/downloads/old.dmg", 5))
    feed = xml.parse(release.appcast)
    appcast = eddsa.sign_feed(xml.render(replace(feed, items=(*feed.items, old))), KEY)
    publish(MemoryStore(), replace(release, appcast=appcast))


def test_on_a_real_server_with_an_image_in_parts(tmp_path):
    release = publication(tmp_path, "1")
    release.dmg.write_bytes(os.urandom(20_000_000))
    release = publication(tmp_path, "1")
    with Bucket(tmp_path / "bucket") as bucket:
        store = bucket.store()
        published = publish(store, release)
        again = publish(store, release)
        latest = store.get(LATEST)
        feed = store.get(FEED_KEY)
    assert published.sent == 20_000_000 + len(release.appcast) and again.sent == 0
    assert latest and latest[1] == release.dmg.read_bytes() and latest[0].cache_control == SHORT
    assert feed and feed[1] == release.appcast
    assert again.dmg_sha256 == published.dmg_sha256 == latest[0].sha256
