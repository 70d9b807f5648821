"""What is published to Cloudflare's own R2 (wrangler's), read through a Worker and through the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from release.objects import FEED_TYPE, IMAGE_TYPE, IMMUTABLE, SHORT
from release.publish import publish
from release.rollback import plan, roll_back
from tests.standins.public import LATEST, image, offered, publication, settled, side
from tests.standins.store import MemoryStore
from tests.standins.wrangler import LocalR2, local_r2
from tests.worker.hosts import Site, StandingClock, running
from worker.hosts.local.s3 import S3
from worker.hosts.local.sqlite import Sqlite

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("r2")]
IMAGE = "releases/API-for-Cursor-1.2-2.dmg"
BIG = 20_000_000  # in parts


@pytest.fixture(scope="module")
def r2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalR2]:
    with local_r2(tmp_path_factory.mktemp("bucket"), name="published") as bucket:
        yield bucket


@pytest.fixture(scope="module")
def published(r2: LocalR2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases, the second with an image that goes in parts."""
    folder = tmp_path_factory.mktemp("images")
    image(folder, "2", BIG)
    for build in "12":
        publish(side(r2.store()), publication(folder, build))
    return folder


@pytest.fixture
def served(r2: LocalR2, published: Path, tmp_path: Path) -> Iterator[Site]:
    store = S3(r2.endpoint, r2.name, r2.access_key, r2.secret_key)
    kept, clock = Sqlite(tmp_path / "site.sqlite"), StandingClock()
    kept.migrate()
    with running(kept, store, kept, clock, {}) as port:
        yield Site(port, clock)


def test_a_worker_has_it_through_its_binding(r2: LocalR2, published: Path) -> None:
    data = image(published, "2").read_bytes()
    for key, caching in ((IMAGE, IMMUTABLE), (LATEST, SHORT)):
        answer = requests.get(f"{r2.url}/{key}", timeout=60)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, caching)
        assert answer.headers["content-type"] == IMAGE_TYPE and answer.content == data
        assert answer.headers["content-disposition"].startswith("attachment; ")
    feed = requests.get(f"{r2.url}/appcast.xml", timeout=60)
    assert (feed.headers["content-type"], feed.headers["cache-control"]) == (FEED_TYPE, SHORT)
    found = r2.store().get("appcast.xml")
    assert found and feed.content == found[1] and feed.headers["etag"] == found[0].etag


def test_the_site_serves_it(r2: LocalR2, served: Site, published: Path) -> None:
    data = image(published, "2").read_bytes()
    button = served.ask("/download")
    assert (button.status, button.headers["location"]) == (302, f"/{LATEST}")
    whole = served.ask(f"/{LATEST}")
    assert (whole.status, whole.body) == (200, data)
    part = served.ask(f"/{IMAGE}", range=f"bytes={BIG - 5}-")
    assert (part.status, part.body) == (206, data[BIG - 5 :])
    feed = served.ask("/appcast.xml")
    found = r2.store().get("appcast.xml")
    assert found and (feed.status, feed.body) == (200, found[1])
    assert served.ask("/appcast.xml", if_none_match=feed.headers["etag"]).status == 304


def test_again_sends_nothing_and_back_leads_the_button_back(
    r2: LocalR2, served: Site, published: Path
) -> None:
    assert publish(side(r2.store()), publication(published, "2")).sent == 0
    mine = side(r2.store())
    roll_back(mine, plan(mine))
    first = image(published, "1").read_bytes()
    assert served.ask(f"/{LATEST}").body == first
    assert requests.get(f"{r2.url}/{LATEST}", timeout=60).content == first
    store = r2.store()
    seen = MemoryStore(objects={entry.key: got for entry in store.list() if (got := store.get(entry.key))})
    assert offered(seen) == ["1"]
    settled(seen)
    assert IMAGE in seen.objects
