"""Publishing, watched by a reader who looks at the public side between any two requests."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from appcast.feed import Enclosure, Feed, find
from errors import Exit, Fault
from release import manifest
from release.objects import FEED_KEY, FEED_TYPE, FEEDS, IMAGE_TYPE, IMMUTABLE, JSON_TYPE, SHORT
from release.publish import Publication, publish
from release.publisher import Publisher
from release.rehearsal.bucket import Bucket
from tests.standins.crashes import at_every_request
from tests.standins.public import (
    LATEST,
    MAINTAINER,
    SITE,
    merging,
    offered,
    public_feed,
    publication,
    settled,
    side,
    watch,
)
from tests.standins.store import MemoryStore


def next_release(store: MemoryStore, folder: Path, build: str) -> Publication:
    """A release whose feed was made from the one that is public."""
    found = store.objects.get(FEED_KEY)
    return publication(folder, build, found[0].etag if found else None)


def complete(store: MemoryStore, release: Publication) -> None:
    feed = public_feed(store)
    assert feed and find(feed, release.build) == release.item
    assert store.objects[LATEST][1] == store.objects[release.image_key][1] == release.dmg.read_bytes()
    newest = manifest.load(store, manifest.newest_key(release.version))
    assert newest and newest == manifest.load(store, manifest.key_of(release.version, release.build))
    settled(store)


def test_the_first_release_is_published_with_the_right_headers(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    published = publish(side(store), release)
    complete(store, release)
    image, feed, latest = (store.objects[key][0] for key in (release.image_key, FEED_KEY, LATEST))
    assert (image.content_type, image.cache_control) == (IMAGE_TYPE, IMMUTABLE)
    assert (latest.content_type, latest.cache_control) == (IMAGE_TYPE, SHORT)
    assert (feed.content_type, feed.cache_control, feed.disposition) == (FEED_TYPE, SHORT, None)
    assert image.disposition == latest.disposition == f'attachment; filename="{release.dmg.name}"'
    assert published.dmg_sha256 == hashlib.sha256(release.dmg.read_bytes()).hexdigest()
    assert published.appcast == store.objects[FEED_KEY][1]
    record, newest = (store.objects[f"releases/1.1/{name}.json"][0] for name in ("1", "manifest"))
    assert (record.content_type, record.cache_control) == (JSON_TYPE, IMMUTABLE)
    assert (newest.content_type, newest.cache_control) == (JSON_TYPE, SHORT)


def test_the_order_of_writes(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    second = next_release(store, tmp_path, "2")
    store.requests.clear()
    publish(side(store), second)
    writes = [key for method, key in store.requests if method in ("put", "copy", "delete")]
    kept = writes.pop(3)
    assert kept.startswith(FEEDS) and store.objects[kept][1] == store.objects[FEED_KEY][1]
    assert writes == [
        second.image_key, "releases/1.2/2.json", FEED_KEY, LATEST, "releases/1.2/manifest.json",
    ]  # fmt: skip
    read_back = store.requests.index(("open", second.image_key))
    assert store.requests.index(("put", second.image_key)) < read_back
    assert read_back < store.requests.index(("put", "releases/1.2/2.json"))


def test_the_bucket_alone_tells_who_published_what(tmp_path):
    store = MemoryStore()
    robot = Publisher("octocat (GitHub Actions)", None, "https://github.test/runs/7", "c" * 40, "v1.1")
    for build, who in (("1", robot), ("2", MAINTAINER)):
        publish(side(store, publisher=who), next_release(store, tmp_path, build))
    made = manifest.load(store, "releases/1.1/1.json")
    assert made and made.published.who == robot.who and made.published.run == robot.run
    assert (made.published.commit, made.published.tag) == ("c" * 40, "v1.1")
    assert made.published.tools["python"] and made.channel == "stable" and made.architectures == ()
    notes = [store.objects[key][0].metadata for key in sorted(store.objects) if key.startswith(FEEDS)]
    notes.sort(key=lambda note: note["at"])
    assert [(note["publisher"], note["action"], note["release"]) for note in notes] == [
        (robot.who, "publish", "1.1-1"), (MAINTAINER.who, "publish", "1.2-2"),
    ]  # fmt: skip
    assert store.objects[FEED_KEY][0].metadata == notes[1]
    assert notes[0]["tool"] == "invoke at cccccccccccc" and notes[0]["run"] == robot.run


def test_publishing_again_sends_nothing_and_reads_no_image(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    publish(side(store), release)
    store.requests.clear()
    again = publish(side(store), replace(release, feed_etag='"stale"'))
    assert {method for method, _ in store.requests} <= {"head", "get", "list"}
    assert not any(key.endswith(".dmg") for method, key in store.requests if method == "get")
    assert again.sent == 0 and "nothing sent" in again.note


def test_progress_counts_up_and_back(tmp_path):
    release = publication(tmp_path, "1")
    seen: list[tuple[int, int]] = []
    publish(side(MemoryStore()), release, on_progress=lambda done, total: seen.append((done, total)))
    size = release.dmg.stat().st_size
    assert seen == [(size, 2 * size), (2 * size, 2 * size)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_request_leaves_the_old_or_the_new_release_and_can_be_finished(tmp_path, when):
    template = MemoryStore()
    first = publication(tmp_path, "1")
    publish(side(template), first)
    second = next_release(template, tmp_path, "2")

    def finished(store: MemoryStore) -> None:
        complete(store, second)
        assert store.objects[first.image_key][1] == first.dmg.read_bytes()
        assert sum(key.startswith(FEEDS) for key in store.objects) == 2

    crashes = at_every_request(template, when, lambda store: publish(side(store), second), finished=finished)
    assert crashes >= 20


def test_a_reader_between_any_two_requests_sees_whole_releases(tmp_path):
    store = MemoryStore()
    watch(store)
    for build in ["1", "2", "3"]:
        release = next_release(store, tmp_path, build)
        publish(side(store), release)
        complete(store, release)
    assert offered(store) == ["3", "2", "1"]


def test_other_bytes_under_the_same_name_are_a_conflict_that_names_both(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    publish(side(store), release)
    kept = dict(store.objects)
    old = release.dmg.read_bytes()
    release.dmg.write_bytes(os.urandom(len(old)))
    with pytest.raises(Fault, match="another image") as caught:
        publish(side(store), release)
    assert caught.value.status == Exit.CONFLICT
    for data in (old, release.dmg.read_bytes()):
        assert hashlib.sha256(data).hexdigest() in str(caught.value)
    assert store.objects == kept


def test_an_upload_that_arrives_damaged_is_removed_and_never_offered(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")

    def damage(method: str, key: str) -> None:
        if method == "put":
            found, data = store.objects[key]
            store.objects[key] = (found, data[:-1] + bytes([data[-1] ^ 1]))

    store.after = damage
    with pytest.raises(Fault, match="arrived damaged") as caught:
        publish(side(store), release)
    assert caught.value.status == Exit.PUBLISH and not store.objects
    store.after = lambda method, key: None
    publish(side(store), release)
    complete(store, release)


def test_a_manifest_of_other_files_is_a_conflict_that_names_them(tmp_path):
    store, release = MemoryStore(), publication(tmp_path, "1")
    publish(side(store), release)
    made = manifest.load(store, "releases/1.1/1.json")
    assert made
    image = replace_listed(made, sha256="0" * 64)
    key = "releases/1.1/1.json"
    store.objects[key] = (store.objects[key][0], manifest.render(image))
    with pytest.raises(Fault, match="other files") as caught:
        publish(side(store), release)
    assert caught.value.status == Exit.CONFLICT and f"{release.dmg.name}: public 0000" in str(caught.value)


def replace_listed(made: manifest.Manifest, **changes: str) -> manifest.Manifest:
    import msgspec

    image = msgspec.structs.replace(made.objects[0], **changes)
    return msgspec.structs.replace(made, objects=(image, *made.objects[1:]))


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"format": 2}', b"null"])
def test_a_manifest_that_nobody_understands_is_said_to_be_one(data):
    with pytest.raises(Fault, match="manifest cannot be read") as caught:
        manifest.parse(data, "releases/1.1/1.json")
    assert caught.value.status == Exit.PUBLISH and "releases/1.1/1.json" in str(caught.value)


def test_a_feed_that_points_at_nothing_is_not_published(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    release = next_release(store, tmp_path, "2")
    before = store.objects.pop("releases/API-for-Cursor-1.1-1.dmg")
    feed = store.objects[FEED_KEY]
    with pytest.raises(Fault, match="does not hold") as caught:
        publish(side(store), release)
    assert caught.value.status == Exit.PUBLISH
    assert "API-for-Cursor-1.1-1.dmg is not there" in str(caught.value)
    short = replace(before[0], size=7)
    store.objects[short.key] = (short, before[1])
    with pytest.raises(Fault, match="has 7 bytes"):
        publish(side(store), release)
    assert store.objects[FEED_KEY] == feed


def test_an_item_for_another_image_is_not_published(tmp_path):
    store = MemoryStore()
    one, two = publication(tmp_path, "1"), publication(tmp_path, "2")
    for wrong in (replace(one, item=two.item), replace(one, item=replace(one.item, enclosure=None))):
        with pytest.raises(Fault, match="does not offer") as caught:
            publish(side(store), wrong)
        assert caught.value.status == Exit.APPCAST and not store.objects


def test_images_elsewhere_are_not_looked_for(tmp_path):
    release = publication(tmp_path, "2")
    assert release.item.enclosure
    elsewhere = Enclosure(f"{SITE}/downloads/old.dmg", 5, signature=release.item.enclosure.signature)
    old = replace(release.item, version="1", enclosure=elsewhere)

    def merge(before: Feed | None) -> Feed:
        after: Feed = merging(release.item)(before)
        return replace(after, items=(*after.items, old))

    store = MemoryStore()
    publish(side(store), replace(release, merge=merge))
    assert offered(store) == ["2", "1"]


def test_a_feed_that_would_do_harm_is_not_published(tmp_path):
    store = MemoryStore()
    release = publication(tmp_path, "1", minimum_system_version="12.0.0")
    with pytest.raises(Fault, match="would do harm") as caught:
        publish(side(store), release)
    assert caught.value.status == Exit.APPCAST and FEED_KEY not in store.objects


def test_nobody_loses_an_update_unless_that_is_allowed(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    narrow = next_release(store, tmp_path, "2")
    wide = narrow.merge
    narrow = replace(narrow, merge=lambda before: replace(wide(before), items=(narrow.item,)))
    narrow = replace(narrow, item=replace(narrow.item, minimum_system_version="15.0.0"))
    with pytest.raises(Fault, match="takes an update away"):
        publish(side(store), narrow)
    publish(side(store), replace(narrow, allow_regression=True))
    assert offered(store) == ["2"]


@pytest.mark.slow
def test_on_a_real_server_with_an_image_in_parts(tmp_path):
    image = tmp_path / "API-for-Cursor-1.1-1.dmg"
    image.write_bytes(os.urandom(20_000_000))
    release = publication(tmp_path, "1")
    with Bucket(tmp_path / "bucket") as bucket:
        store = bucket.store()
        published = publish(side(store), release)
        again = publish(side(store), release)
        latest = store.get(LATEST)
        feed = store.get(FEED_KEY)
        kept = [entry.key for entry in store.list(FEEDS)]
    assert published.sent > 20_000_000 + len(published.appcast) and again.sent == 0
    assert latest and latest[1] == image.read_bytes() and latest[0].cache_control == SHORT
    assert feed and feed[1] == published.appcast and len(kept) == 1
    assert feed[0].metadata["publisher"] == MAINTAINER.who
    assert again.dmg_sha256 == published.dmg_sha256 == latest[0].sha256
