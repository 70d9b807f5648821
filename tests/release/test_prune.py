"""Old builds go; what somebody may still need, or go back to, stays, whatever happens in between."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import Exit, Fault
from release import prune, rollback, rollout, yank
from release.objects import FEED_KEY, Attachment
from release.prune import PENDING
from release.publish import publish
from tests.standins.crashes import at_every_request
from tests.standins.public import offered, publication, settled, side, watch
from tests.standins.store import MemoryStore


def image_of(build: str) -> str:
    return f"releases/API-for-Cursor-1.{build}-{build}.dmg"


def published(folder: Path, *builds: str, keep: int = 1) -> MemoryStore:
    """A bucket in which each build has notes of its own, and the feed has the newest `keep`."""
    store = MemoryStore()
    for build in builds:
        release = publication(folder, build)
        notes = Attachment(f"notes-{build}.html", build.encode(), "text/html", versioned=True)
        shared = Attachment("notes.html", build.encode(), "text/html", versioned=False)
        publish(side(store), replace(release, attachments=(notes, shared)))
    assert offered(store)
    return store


def images(store: MemoryStore) -> set[str]:
    return {
        key.rpartition("-")[2][:-4] for key in store.objects if key.endswith(".dmg") and "latest" not in key
    }


def test_planning_removes_nothing_and_says_what_would_go(tmp_path):
    store = published(tmp_path, *map(str, range(1, 8)))
    before = dict(store.objects)
    store.requests.clear()
    wanted = prune.plan(side(store), 1)
    assert store.objects == before and {method for method, _ in store.requests} <= {"get", "head", "list"}
    # the feed offers 7, 6 and 5; a rollback may go to the one that offered 6, 5 and 4
    assert [made.build for made in wanted.releases] == ["3", "2", "1"]
    assert {key for key, _ in wanted.objects} == {
        name for build in "123" for name in (image_of(build), f"releases/notes-{build}.html")
    }
    assert wanted.size == sum(len(before[key][1]) for key, _ in wanted.objects)
    assert wanted.unknown == ("releases/notes.html",)


def test_what_is_needed_stays_and_the_way_back_is_open(tmp_path):
    store = published(tmp_path, *map(str, range(1, 8)))
    watch(store)
    mine = side(store)
    prune.prune(mine, prune.plan(mine, 1))
    assert images(store) == {"4", "5", "6", "7"} and offered(store) == ["7", "6", "5"]
    assert not any(key.startswith(("releases/1.1/", "releases/notes-1")) for key in store.objects)
    assert PENDING not in store.objects
    again = prune.plan(mine, 1)
    assert not again.releases and not again.objects and not again.feeds
    wanted = rollback.plan(mine)
    assert wanted.data is not None  # to the byte
    rollback.roll_back(mine, wanted)
    assert offered(store) == ["6", "5", "4"]
    settled(store)


def test_each_channel_keeps_its_own(tmp_path):
    store = MemoryStore()
    for build in "123456":
        publish(side(store), publication(tmp_path, build, channel="beta" if build in "24" else None))
    mine = side(store)
    prune.prune(mine, prune.plan(mine, 1))
    assert "4" in images(store) and "4" in offered(store)
    settled(store)


@pytest.mark.parametrize("keep", [0, -1])
def test_nothing_at_all_cannot_be_kept(tmp_path, keep):
    with pytest.raises(Fault, match="would keep nothing") as caught:
        prune.plan(side(published(tmp_path, "1")), keep)
    assert caught.value.status == Exit.USAGE


def test_a_feed_that_changes_meanwhile_stops_it(tmp_path):
    store = published(tmp_path, *map(str, range(1, 8)))
    mine = side(store)
    wanted = prune.plan(mine, 1)
    publish(side(store), publication(tmp_path, "8"))
    before = dict(store.objects)
    with pytest.raises(Fault, match="changed since") as caught:
        prune.prune(mine, wanted)
    assert caught.value.status == Exit.CONFLICT and store.objects == before


def test_an_image_that_was_put_in_place_of_latest_stays(tmp_path):
    """Nobody's button may lose its image, even if it does not lead where the feed does."""
    store = published(tmp_path, *map(str, range(1, 8)))
    first, data = store.objects[image_of("1")]
    latest = side(store).latest_key
    store.objects[latest] = (replace(first, key=latest), data)
    assert "1" not in [made.build for made in prune.plan(side(store), 1).releases]


def test_a_build_that_is_being_published_is_left_alone(tmp_path):
    store = published(tmp_path, *map(str, range(1, 8)))
    release = publication(tmp_path, "9")

    class Stop(Exception):
        pass

    def stop(method: str, key: str) -> None:
        if (method, key) == ("put", FEED_KEY):
            raise Stop

    store.before = stop
    with pytest.raises(Stop):
        publish(side(store), release)
    store.before = lambda method, key: None
    mine = side(store)
    prune.prune(mine, prune.plan(mine, 1))
    assert "9" in images(store)
    publish(mine, release)
    assert offered(store)[0] == "9"
    settled(store)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_request_it_is_finished_by_the_next(tmp_path, when):
    template = published(tmp_path, *map(str, range(1, 7)))

    def operation(store: MemoryStore) -> None:
        mine = side(store)
        prune.prune(mine, prune.plan(mine, 1))

    def finished(store: MemoryStore) -> None:
        assert images(store) == {"3", "4", "5", "6"} and PENDING not in store.objects
        assert {key for key in store.objects if "notes-" in key} == {
            f"releases/notes-{n}.html" for n in "3456"
        }
        settled(store)

    assert at_every_request(template, when, operation, finished=finished) >= 20


DEEDS = st.lists(
    st.sampled_from(
        ["publish", "publish", "publish", "beta", "phased", "rollback", "yank", "complete", "prune"]
    ),
    min_size=3,
    max_size=9,
)


KINDS: dict[str, dict[str, Any]] = {
    "beta": {"channel": "beta"},
    "phased": {"phased_rollout_interval": 86400},
}


@given(deeds=DEEDS, keep=st.integers(1, 2))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_in_whatever_order_a_reader_sees_whole_releases(tmp_path, deeds, keep):
    store, build = MemoryStore(), 0
    watch(store)
    mine = side(store)
    for deed in deeds:
        try:
            if deed in ("publish", "beta", "phased"):
                build += 1
                item: dict[str, Any] = {"published": mine.now().replace(microsecond=0), **KINDS.get(deed, {})}
                publish(mine, publication(tmp_path, str(build), **item))
            elif deed == "rollback":
                rollback.roll_back(mine, rollback.plan(mine))
            elif deed == "yank" and build:
                yank.yank(mine, yank.plan(mine, offered(store)[0]))
            elif deed == "complete":
                rollout.turn(mine, rollout.plan(mine, "complete"))
            elif deed == "prune":
                prune.prune(mine, prune.plan(mine, keep))
        except Fault as refused:
            assert refused.cure  # what cannot be done is said, with what can
        settled(store)
    assert not build or offered(store)
