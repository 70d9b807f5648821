"""Notes are public before the feed that points to them, and what has a version never changes."""

from dataclasses import replace

import pytest

from appcast import xml
from appcast.feed import NotesLink
from errors import Exit, Fault
from release.publish import FEED_KEY, IMMUTABLE, SHORT, Publication, PublicPage, publish
from signing import eddsa
from tests.release.test_publish import KEY, SITE, next_release, publication
from tests.standins.store import MemoryStore

HTML = "text/html; charset=utf-8"


def with_notes(release: Publication, text: bytes = b"<p>57</p>", full: bytes = b"<p>all</p>") -> Publication:
    feed = xml.parse(eddsa.verify_feed(release.appcast, eddsa.public_key(KEY)))
    name = f"notes-{release.build}.en.html"
    notes = NotesLink(f"{SITE}/releases/{name}", "en", eddsa.sign_bytes(text, KEY), len(text))
    full_notes = NotesLink(f"{SITE}/releases/notes.html")
    newest = replace(feed.items[0], release_notes=(notes,), full_release_notes=(full_notes,))
    feed = replace(feed, items=(newest, *feed.items[1:]))
    pages = (
        PublicPage(name, text, HTML, versioned=True),
        PublicPage("notes.html", full, HTML, versioned=False),
    )
    return replace(release, appcast=eddsa.sign_feed(xml.render(feed), KEY), pages=pages)


def test_notes_go_before_the_feed_with_their_headers(tmp_path):
    store = MemoryStore()
    publish(store, with_notes(publication(tmp_path, "57")))
    written = [key for method, key in store.requests if method == "put"]
    assert written[1:4] == ["releases/notes-57.en.html", "releases/notes.html", FEED_KEY]
    versioned, data = store.objects["releases/notes-57.en.html"]
    assert (versioned.content_type, versioned.cache_control, data) == (HTML, IMMUTABLE, b"<p>57</p>")
    assert store.objects["releases/notes.html"][0].cache_control == SHORT


def test_publishing_again_sends_nothing_and_the_next_release_replaces_the_full_page(tmp_path):
    store, first = MemoryStore(), with_notes(publication(tmp_path, "57"))
    publish(store, first)
    store.requests.clear()
    assert publish(store, first).sent == 0
    assert all(method in ("get", "head", "list", "open") for method, _ in store.requests)
    publish(store, with_notes(next_release(store, tmp_path, "58"), b"<p>58</p>", b"<p>more</p>"))
    assert store.objects["releases/notes.html"][1] == b"<p>more</p>"
    assert store.objects["releases/notes-57.en.html"][1] == b"<p>57</p>"


def test_versioned_notes_are_never_replaced(tmp_path):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    publish(store, release)
    feed = store.objects[FEED_KEY]
    changed = replace(release, pages=(replace(release.pages[0], data=b"<p>Other</p>"), release.pages[1]))
    with pytest.raises(Fault, match="other notes") as caught:
        publish(store, changed)
    assert caught.value.status == Exit.CONFLICT and store.objects[FEED_KEY] == feed


@pytest.mark.parametrize("lost", [0, 1])
def test_a_feed_that_points_to_absent_notes_is_refused(tmp_path, lost):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    pages = tuple(page for at, page in enumerate(release.pages) if at != lost)
    with pytest.raises(Fault, match="does not hold") as caught:
        publish(store, replace(release, pages=pages))
    assert release.pages[lost].name in str(caught.value) and FEED_KEY not in store.objects


def test_notes_of_another_length_are_refused(tmp_path):
    store, release = MemoryStore(), with_notes(publication(tmp_path, "57"))
    longer = replace(release.pages[0], data=release.pages[0].data + b" ")
    with pytest.raises(Fault, match="does not hold"):
        publish(store, replace(release, pages=(longer, release.pages[1])))


def test_a_release_for_few_leaves_the_download_button_alone(tmp_path):
    store, latest = MemoryStore(), "releases/API-for-Cursor-latest.dmg"
    beta = replace(publication(tmp_path, "57"), for_everybody=False)
    assert publish(store, beta).objects[-1].action == "left" and latest not in store.objects
    publish(store, next_release(store, tmp_path, "58"))
    before = store.objects[latest]
    publish(store, replace(next_release(store, tmp_path, "59"), for_everybody=False))
    assert store.objects[latest] == before
