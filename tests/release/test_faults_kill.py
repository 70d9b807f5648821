"""kill -9 at every request of everything that changes the public side, watched by a reader who polls."""

import os
import shutil
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appcast import xml
from release.objects import FEED_KEY, for_everybody, image_key, key_of, targets
from release.publish import publish
from release.rehearsal.bucket import Bucket
from release.store import S3Store, digest_of
from signing import eddsa
from tests.standins.faulty import Answer, Faulty, Request
from tests.standins.faulty_deeds import CONTEXT, DEEDS, Access, run
from tests.standins.public import LATEST, PUBLIC, SITE, digest, image, look, public_feed, publication, side
from tests.standins.store import MemoryStore


class Reader:
    """Polls the public side until it is stopped; `wrong` is what it saw and never should have."""

    def __init__(self, store: S3Store, folder: Path) -> None:
        self.polls = 0
        self.wrong: list[str] = []
        self._store, self._images = store, {digest_of(path) for path in folder.glob("*.dmg")}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def _poll(self) -> None:
        while not self._end.wait(0.002):
            self.look()

    def look(self) -> None:
        self.polls += 1
        try:
            self._look()
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        found, latest = self._store.get(FEED_KEY), self._store.get(LATEST)
        assert found and latest, "the feed or latest is gone"
        assert digest_of(latest[1]) in self._images, "latest is none of the images"
        feed = xml.parse(eddsa.verify_feed(found[1], PUBLIC), base_url=f"{SITE}/{FEED_KEY}")
        assert feed.items, "the feed is empty"
        for item in feed.items:
            for url, length in targets(item):
                there = self._store.get(key_of(url) or "")
                assert there, f"{url} is missing"
                assert length in (None, len(there[1])), f"{url} has {len(there[1])} bytes"
                if item.enclosure and url == item.enclosure.url:
                    assert item.enclosure.signature
                    assert eddsa.verify_bytes(there[1], item.enclosure.signature, PUBLIC), f"{url} is wrong"


class Killer:
    """Kills a process at its request number `number`: `passing` it on first, or not."""

    def __init__(self, number: int, passing: bool) -> None:
        self.number, self.passing = number, passing
        self.pid = 0
        self.started = threading.Event()

    def __call__(self, request: Request) -> Answer | None:
        if request.number != self.number:
            return request.forward()
        if self.passing:
            request.forward()
        self.started.wait()
        os.kill(self.pid, signal.SIGKILL)
        return None


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Images, and a bucket with two releases, the second on its way to everybody."""
    folder = tmp_path_factory.mktemp("before")
    image(folder, "3", 300_000)
    with Bucket(folder / "bucket") as bucket:
        publish(side(bucket.store()), publication(folder, "1"))
        began = datetime.now(UTC).replace(microsecond=0)
        second = publication(folder, "2", phased_rollout_interval=86400, published=began)
        publish(side(bucket.store()), second)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("passing", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("deed", DEEDS)
def test_killed_at_any_request_it_leaves_what_is_public_whole_and_can_be_finished(
    before, tmp_path, deed, passing, record_property
):
    kills = requests = polls = 0
    while True:
        folder = tmp_path / str(kills)
        shutil.copytree(before, folder)
        died, seen, looks = at_request(folder, deed, kills, passing)
        requests, polls = requests + seen, polls + looks
        shutil.rmtree(folder)
        if not died:
            break
        kills += 1
    for name, value in (("kills", kills), ("requests", requests), ("polls", polls)):
        record_property(name, value)
    sys.stdout.write(f"{deed}: {kills} kills, {requests} requests, {polls} polls\n")  # shown by pytest -rA
    assert kills >= 8 and requests > kills and polls > kills


def at_request(folder: Path, deed: str, number: int, passing: bool) -> tuple[bool, int, int]:
    """Kill a process at one request, do the deed again; whether it died, and requests and polls."""
    with Bucket(folder / "bucket") as bucket, Faulty(bucket.endpoint) as proxy:
        with Reader(bucket.store(), folder) as reader:
            proxy.script = killer = Killer(number, passing)
            access = Access(proxy.endpoint, bucket.name, bucket.access_key, bucket.secret_key)
            process = CONTEXT.Process(target=run, args=(deed, access, folder))
            process.start()
            killer.pid = process.pid or 0
            killer.started.set()
            process.join(60)
            status = process.exitcode
            assert status in (0, -signal.SIGKILL)
            if status:
                DEEDS[deed](bucket.store(), folder)
        assert not reader.wrong
        store = bucket.store()
        objects = {entry.key: found for entry in store.list() if (found := store.get(entry.key))}
        finished(MemoryStore(objects=objects))
        return status != 0, len(proxy.seen), reader.polls


def finished(store: MemoryStore) -> None:
    """Assert that all is whole, and `latest` the newest that the feed has for everybody."""
    look(store)
    feed = public_feed(store)
    assert feed and digest(store, LATEST) == digest(store, image_key(for_everybody(feed)) or "")
