"""Two maintainers at once: both releases end up public where that can be, else one is told of the other."""

import multiprocessing
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from errors import Exit, Fault
from release.latest import follow
from release.objects import FEED_KEY, FEEDS
from release.publish import publish
from release.publisher import Publisher
from release.rehearsal.bucket import Bucket
from release.store import S3Store
from tests.standins.clock import FakeClock
from tests.standins.public import LATEST, digest, offered, public_feed, publication, settled, side
from tests.standins.store import MemoryStore

THEM = Publisher("Other", "other@example.test")


def overtaking(store: MemoryStore, *builds: str, folder: Path, **item: Any) -> list[str]:
    """Let somebody else publish whenever the feed is about to be written, one build each time."""
    left = list(builds)

    def before(method: str, key: str) -> None:
        if (method, key) == ("put", FEED_KEY) and left:
            store.before = lambda method, key: None  # they are not overtaken themselves
            publish(side(store, publisher=THEM), publication(folder, left.pop(0), **item))
            store.before = before

    store.before = before
    return left


def test_the_loser_merges_and_publishes_on_top(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    mine = publication(tmp_path, "4", store.objects[FEED_KEY][0].etag)
    left = overtaking(store, "2", "3", folder=tmp_path)
    published = publish(side(store), mine)
    assert not left and offered(store) == ["4", "3", "2"]
    assert published.appcast == store.objects[FEED_KEY][1]
    assert sum(key.startswith(FEEDS) for key in store.objects) == 4
    settled(store)


def test_the_loser_whose_build_is_lower_is_told_what_the_other_published(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    mine = publication(tmp_path, "2", store.objects[FEED_KEY][0].etag)
    overtaking(store, "3", folder=tmp_path)
    with pytest.raises(Fault, match="meanwhile") as caught:
        publish(side(store), mine)
    assert caught.value.status == Exit.CONFLICT
    said = str(caught.value)
    assert "publish 1.3-3 by Other, 20" in said and "2 does not rise" in said
    assert offered(store) == ["3", "1"]
    settled(store)


def test_a_lower_build_of_another_channel_stands_beside(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    beta = publication(tmp_path, "2", channel="beta")
    overtaking(store, "3", folder=tmp_path)
    publish(side(store), beta)
    assert offered(store) == ["3", "2", "1"]
    settled(store)
    assert digest(store, LATEST) == digest(store, "releases/API-for-Cursor-1.3-3.dmg")


def test_two_first_releases_are_merged(tmp_path):
    store = MemoryStore()
    overtaking(store, "1", folder=tmp_path)
    publish(side(store), publication(tmp_path, "2"))
    assert offered(store) == ["2", "1"]
    settled(store)


def test_who_is_overtaken_for_ever_gives_up_and_says_so(tmp_path):
    store = MemoryStore()
    overtaking(store, *map(str, range(1, 30)), folder=tmp_path)
    with pytest.raises(Fault, match="each of the 8 times") as caught:
        publish(side(store), publication(tmp_path, "99"))
    assert caught.value.status == Exit.CONFLICT
    settled(store)


def test_waiting_gets_longer_and_differs(tmp_path):
    pauses = []
    for _ in range(2):
        store = MemoryStore()
        mine = side(store)
        overtaking(store, "1", "2", "3", folder=tmp_path)
        publish(mine, publication(tmp_path, "9"))
        pauses.append(cast(FakeClock, mine.clock).pauses)
    assert len(pauses[0]) == 3 and pauses[0][2] > pauses[0][0] and pauses[0] != pauses[1]


def test_latest_ends_with_the_feed_whoever_writes_it_last(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    done: list[str] = []

    def overtake(method: str, key: str) -> None:
        if (method, key) == ("copy", LATEST) and not done:
            done.append("3")
            publish(side(store), publication(tmp_path, "3"))

    store.before = overtake  # they do all of it while we are about to copy our image
    publish(side(store), publication(tmp_path, "2"))
    assert done and offered(store) == ["3", "2", "1"]
    settled(store)


def test_latest_follows_a_feed_from_which_the_newest_went_meanwhile(tmp_path):
    store = MemoryStore()
    for build in ("1", "2"):
        publish(side(store), publication(tmp_path, build))
    old = next(data for key, data in store.objects.items() if key.startswith(FEEDS))
    del store.objects["releases/API-for-Cursor-1.2-2.dmg"]
    heads: list[str] = []

    def replaced(method: str, key: str) -> None:
        if method == "head" and not heads:
            heads.append(key)
            store.objects[FEED_KEY] = old

    store.before = replaced
    assert follow(side(store)).action == "copied"
    settled(store)


def test_many_threads_publish_at_once(tmp_path):
    store, faults = MemoryStore(), []
    lock = threading.RLock()
    store.before = lambda method, key: None
    for name in ("put", "copy"):
        setattr(store, name, partial(locked, lock, getattr(store, name)))
    releases = [publication(tmp_path, str(build)) for build in range(1, 7)]

    def run(number: int) -> None:
        try:
            publish(side(store), releases[number])
        except Fault as fault:
            faults.append((number + 1, fault))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    feed = public_feed(store)
    assert feed and feed.items[0].version == "6"
    lost = {build for build, _ in faults}
    assert all(fault.status == Exit.CONFLICT for _, fault in faults) and 6 not in lost
    settled(store)


def locked(lock: threading.RLock, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with lock:
        return call(*args, **kwargs)


def _publish_elsewhere(bucket: tuple[str, str, str], endpoint: str, folder: Path, build: str, start) -> None:
    store = S3Store(
        endpoint=endpoint, bucket=bucket[0], access_key=bucket[1], secret_key=bucket[2], threads=2
    )
    release = publication(folder, build)
    start.wait(30)
    try:
        publish(side(store, publisher=THEM), release)
    except Fault as fault:
        sys.exit(int(fault.status))


@pytest.mark.slow
def test_processes_publish_at_once_to_a_real_server(tmp_path):
    context = multiprocessing.get_context("spawn")
    with Bucket(tmp_path / "bucket") as bucket:
        start = context.Barrier(3)
        access = (bucket.name, bucket.access_key, bucket.secret_key)
        processes = [
            context.Process(target=_publish_elsewhere, args=(access, bucket.endpoint, tmp_path, build, start))
            for build in ("1", "2", "3")
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        codes = [process.exitcode for process in processes]
        objects = {}
        store = bucket.store()
        for entry in store.list():
            found = store.get(entry.key)
            assert found
            objects[entry.key] = (replace(found[0], sha256=found[0].sha256), found[1])
    assert codes[2] == 0 and set(codes) <= {0, int(Exit.CONFLICT)}
    seen = MemoryStore(objects=objects)
    assert offered(seen)[0] == "3" and len(offered(seen)) == codes.count(0)
    settled(seen)
