"""Notes are public before the feed that points to them, and what has a version never changes."""

from dataclasses import replace

import pytest

from appcast.feed import NotesLink
from errors import Exit, Fault
from release.objects import FEED_KEY, IMMUTABLE, SHORT, Attachment
from release.publish import Publication, publish
from signing import eddsa
from tests.release.test_publish import next_release
from tests.standins.public import KEY, LATEST, SITE, merging, publication, settled, side
from tests.standins.store import MemoryStore

HTML = "text/html; charset=utf-8"


def with_notes(release: Publication, text: bytes = b"<p>57</p>", full: bytes = b"<p>all</p>") -> Publication:
    name = f"notes-{release.build}.en.html"
    notes = NotesLink(f"{SITE}/releases/{name}", "en", eddsa.sign_bytes(text, KEY), len(text))
    full_notes = NotesLink(f"{SITE}/releases/notes.html")
    item = replace(release.item, release_notes=(notes,), full_release_notes=(full_notes,))
    attachments = (
        Attachment(name, text, HTML, versioned=True),
        Attachment("notes.html", full, HTML, versioned=False),
    )
    return replace(release, item=item, merge=merging(item), attachments=attachments)


def test_notes_go_before_the_feed_with_their_headers(tmp_path):
    store = MemoryStore()
    publish(side(store), with_notes(publication(tmp_path, "57")))
    written = [key for method, key in store.requests if method == "put"]
    manifest = "releases/1.57/57.json"
    assert written[1:5] == ["releases/notes-57.en.html", "releases/notes.html", manifest, FEED_KEY]
    versioned, data = store.objects["releases/notes-57.en.html"]
    assert (versioned.content_type, versioned.cache_control, data) == (HTML, IMMUTABLE, b"<p>57</p>")
    assert store.objects["releases/notes.html"][0].cache_control == SHORT


def test_publishing_again_sends_nothing_and_the_next_release_replaces_the_full_page(tmp_path):
    store, first = MemoryStore(), with_notes(publication(tmp_path, "57"))
    publish(side(store), first)
    store.requests.clear()
    assert publish(side(store), first).sent == 0
    assert all(method in ("get", "head", "list", "open") for method, _ in store.requests)
    publish(side(store), with_notes(next_release(store, tmp_path, "58"), b"<p>58</p>", b"<p>more</p>"))
    assert store.objects["releases/notes.html"][1] == b"<p>more</p>"
    assert store.objects["releases/notes-57.en.html"][1] == b"<p>57</p>"


def test_versioned_notes_are_never_replaced(tmp_path):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    publish(side(store), release)
    feed = store.objects[FEED_KEY]
    changed = replace(
        release, attachments=(replace(release.attachments[0], data=b"<p>Other</p>"), release.attachments[1])
    )
    with pytest.raises(Fault, match="another file") as caught:
        publish(side(store), changed)
    assert caught.value.status == Exit.CONFLICT and store.objects[FEED_KEY] == feed


@pytest.mark.parametrize("lost", [0, 1])
def test_a_feed_that_points_to_absent_notes_is_refused(tmp_path, lost):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    pages = tuple(page for at, page in enumerate(release.attachments) if at != lost)
    with pytest.raises(Fault, match="does not hold") as caught:
        publish(side(store), replace(release, attachments=pages))
    assert release.attachments[lost].name in str(caught.value) and FEED_KEY not in store.objects


def test_notes_of_another_length_are_refused(tmp_path):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    longer = replace(release.attachments[0], data=release.attachments[0].data + b" ")
    with pytest.raises(Fault, match="does not hold"):
        publish(side(store), replace(release, attachments=(longer, release.attachments[1])))


def test_a_release_for_few_leaves_the_download_button_alone(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "57", channel="beta"))
    assert LATEST not in store.objects
    publish(side(store), next_release(store, tmp_path, "58"))
    before = store.objects[LATEST]
    publish(side(store), publication(tmp_path, "59", channel="beta"))
    assert store.objects[LATEST] == before
    settled(store)


def test_the_manifest_lists_what_never_changes(tmp_path):
    from release import manifest

    store = MemoryStore()
    publish(side(store), with_notes(publication(tmp_path, "57")))
    made = manifest.load(store, "releases/1.57/57.json")
    assert made and [one.key for one in made.objects] == [
        "releases/API-for-Cursor-1.57-57.dmg", "releases/notes-57.en.html",
    ]  # fmt: skip
    for one in made.objects:
        found, data = store.objects[one.key]
        assert (one.size, one.sha256, one.content_type) == (len(data), found.sha256, found.content_type)
