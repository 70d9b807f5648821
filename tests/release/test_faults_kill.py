"""kill -9 at every request of everything that changes the public side, watched by a reader who polls."""

import os
import shutil
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from release.objects import for_everybody, image_key
from release.publish import publish
from release.rehearsal.bucket import Bucket
from tests.standins.faulty import Answer, Faulty, Request
from tests.standins.faulty_deeds import CONTEXT, DEEDS, Access, run
from tests.standins.faulty_reader import Reader
from tests.standins.public import LATEST, digest, image, look, public_feed, publication, side
from tests.standins.store import MemoryStore


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
