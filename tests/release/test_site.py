"""The download site before the rehearsal's bucket: what tests/worker tries is tried once more through S3."""

import os

import pytest
import requests

from errors import Exit, Fault
from release.objects import FEED_KEY, FEED_TYPE, IMAGE_TYPE, IMMUTABLE, JSON_TYPE, SHORT
from release.rehearsal.bucket import Bucket
from release.rehearsal.site import Site, route
from release.s3 import Changed
from tests.standins.store import MemoryStore

IMAGE = os.urandom(3_000_000)
FEED = b"<rss/>"


def fill(store) -> None:
    disposition = 'attachment; filename="a-1.dmg"'
    for key, caching in [("releases/a-1.dmg", IMMUTABLE), ("releases/a-latest.dmg", SHORT)]:
        store.put(key, IMAGE, content_type=IMAGE_TYPE, cache_control=caching, disposition=disposition)
    store.put("releases/1.0/1.json", b"{}", content_type=JSON_TYPE, cache_control=IMMUTABLE)
    store.put(FEED_KEY, FEED, content_type=FEED_TYPE, cache_control=SHORT)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Bucket(tmp_path_factory.mktemp("site"), "site-tests") as bucket:
        fill(bucket.store())
        with Site(bucket.store(), latest="a-latest.dmg") as running:
            yield running


@pytest.fixture
def memory():
    store = MemoryStore()
    fill(store)
    with Site(store, latest="a-latest.dmg") as running:
        yield store, running


def test_the_download_button_leads_to_the_latest_image(site):
    first = requests.get(f"{site.url}/download", allow_redirects=False, timeout=10)
    assert first.status_code == 302 and first.headers["Location"] == "/releases/a-latest.dmg"
    assert requests.get(f"{site.url}/download?utm=1", timeout=10).content == IMAGE


def test_headers_are_the_objects_own(site):
    image = requests.get(f"{site.url}/releases/a-1.dmg", timeout=10)
    assert image.content == IMAGE
    assert image.headers["Content-Type"] == IMAGE_TYPE
    assert image.headers["Cache-Control"] == IMMUTABLE
    assert image.headers["Content-Disposition"] == 'attachment; filename="a-1.dmg"'
    assert image.headers["Accept-Ranges"] == "bytes" and image.headers["ETag"].startswith('"')
    assert image.headers["Last-Modified"].endswith("GMT")
    feed = requests.get(f"{site.url}/appcast.xml", timeout=10)
    assert (feed.content, feed.headers["Content-Type"], feed.headers["Cache-Control"]) == (
        FEED,
        FEED_TYPE,
        SHORT,
    )
    assert requests.get(f"{site.url}/releases/a-latest.dmg", timeout=10).headers["Cache-Control"] == SHORT


def test_head_is_get_without_a_body(site):
    for path in ["/releases/a-1.dmg", "/appcast.xml", "/download", "/none"]:
        got = requests.get(site.url + path, allow_redirects=False, timeout=10)
        head = requests.head(site.url + path, timeout=10)
        assert head.status_code == got.status_code and head.content == b""
        same = {"Content-Length", "Content-Type", "ETag", "Cache-Control", "Location"}
        assert {name: head.headers.get(name) for name in same} == {
            name: got.headers.get(name) for name in same
        }


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, len(IMAGE)),
        ("bytes=-7", len(IMAGE) - 7, len(IMAGE)),
        (f"bytes=0-{len(IMAGE) * 2}", 0, len(IMAGE)),
        (f"bytes=-{len(IMAGE) * 2}", 0, len(IMAGE)),
        (f"bytes={len(IMAGE) - 1}-", len(IMAGE) - 1, len(IMAGE)),
    ],
)
def test_ranges(site, asked, start, end):
    answer = requests.get(f"{site.url}/releases/a-1.dmg", headers={"Range": asked}, timeout=10)
    assert answer.status_code == 206 and answer.content == IMAGE[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(IMAGE)}"
    assert answer.headers["Content-Length"] == str(end - start)


def test_a_range_beyond_the_end(site):
    answer = requests.get(
        f"{site.url}/releases/a-1.dmg", headers={"Range": f"bytes={len(IMAGE)}-"}, timeout=10
    )
    assert answer.status_code == 416 and answer.headers["Content-Range"] == f"bytes */{len(IMAGE)}"


def test_a_range_of_another_version_gets_the_whole(site):
    url = f"{site.url}/releases/a-1.dmg"
    etag = requests.head(url, timeout=10).headers["ETag"]
    for tag, status in [(etag, 206), ('"old"', 200)]:
        answer = requests.get(url, headers={"Range": "bytes=0-0", "If-Range": tag}, timeout=10)
        assert answer.status_code == status


def test_conditions(site):
    url = f"{site.url}/appcast.xml"
    head = requests.head(url, timeout=10).headers
    for headers, status in [
        ({"If-None-Match": head["ETag"]}, 304),
        ({"If-None-Match": f'"x", W/{head["ETag"]}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": head["Last-Modified"]}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": head["Last-Modified"]}, 200),
    ]:
        answer = requests.get(url, headers=headers, timeout=10)
        assert answer.status_code == status, headers
        assert answer.headers["ETag"] == head["ETag"] and answer.headers["Cache-Control"] == SHORT
        assert answer.content == (b"" if status == 304 else FEED)


def test_an_object_replaced_while_it_is_asked_for_is_asked_for_again(memory):
    store, site = memory
    replaced: list[str] = []

    def replace(method, key):
        if method == "open" and not replaced:
            replaced.append(key)
            store.put("releases/a-latest.dmg", b"new", content_type=IMAGE_TYPE, cache_control=SHORT)

    store.before = replace
    answer = requests.get(f"{site.url}/download", timeout=10)
    assert answer.status_code == 200 and answer.content == b"new" and replaced


def test_troubles_of_the_bucket_are_the_sites_503(memory):
    store, site = memory

    def unreachable(method, key):
        raise Fault("the bucket cannot be reached", status=Exit.NETWORK, where="http://secret.invalid")

    store.before = unreachable
    answer = requests.get(f"{site.url}/appcast.xml", timeout=10)
    assert answer.status_code == 503 and "secret" not in answer.text

    def restless(method, key):
        if method == "open":
            raise Changed("again")

    store.before = restless
    assert requests.get(f"{site.url}/appcast.xml", timeout=10).status_code == 503


def test_the_public_address_leads_to_the_actual_one(site):
    session = requests.Session()
    route(session, "http://127.0.0.1:1", site.url)
    answer = session.get("http://127.0.0.1:1/download", timeout=10)
    assert answer.content == IMAGE and answer.url == "http://127.0.0.1:1/releases/a-latest.dmg"
    assert [step.url for step in answer.history] == ["http://127.0.0.1:1/download"]
    with pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:10/download", timeout=10)  # another port, not ours


def test_the_route_goes_round_any_proxy(site, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    session = requests.Session()
    route(session, "https://example.test/", site.url)
    assert session.get("https://example.test/appcast.xml", timeout=10).content == FEED


def test_it_is_on_loopback_and_silent(memory, capfd):
    _, site = memory
    assert site.url.startswith("http://127.0.0.1:")
    requests.get(f"{site.url}/none", timeout=10)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError, match="not running"):
        _ = Site(MemoryStore()).url
