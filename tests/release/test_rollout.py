"""A phased rollout held, let go on, and ended."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from appcast.feed import FeedFault, find
from appcast.rollout import rollout as phases
from errors import Exit, Fault
from release.objects import FEED_KEY
from release.publish import publish
from release.releases import releases
from release.rollout import plan, turn
from tests.standins.clock import FakeClock
from tests.standins.public import offered, public_feed, publication, settled, side
from tests.standins.store import MemoryStore

DAY = 86400
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


def at(store: MemoryStore, days: float):
    """The public side `days` after the release of build 2."""
    return side(store, clock=FakeClock(start=(NOW + timedelta(days=days)).timestamp()))


@pytest.fixture
def store(tmp_path) -> MemoryStore:
    made = MemoryStore()
    publish(at(made, -9), publication(tmp_path, "1"))
    publish(at(made, 0), publication(tmp_path, "2", published=NOW, phased_rollout_interval=DAY))
    return made


def groups(store: MemoryStore, days: float) -> int | None:
    return next(one for one in releases(at(store, days)) if one.build == "2").groups


def do(store: MemoryStore, what, days: float) -> None:
    mine = at(store, days)
    turn(mine, plan(mine, what))


def test_held_no_further_group_gets_it_and_then_it_goes_on_from_there(store):
    assert groups(store, 1.5) == 2
    do(store, "pause", 1.5)
    assert groups(store, 30) == 2 and next(one for one in releases(at(store, 30)) if one.paused).build == "2"
    do(store, "resume", 30)
    assert (groups(store, 30), groups(store, 30.6), groups(store, 31.6)) == (2, 3, 4)
    assert store.objects[FEED_KEY][0].metadata["action"] == "resume"
    settled(store)


@pytest.mark.parametrize("paused", [False, True])
def test_completed_everybody_gets_it(store, paused):
    if paused:
        do(store, "pause", 1)
    do(store, "complete", 2)
    feed = public_feed(store)
    item = find(feed, "2") if feed else None
    assert item and item.phased_rollout_interval is None and item.published == NOW
    assert groups(store, 2) is None
    known = phases(item)
    assert known and known.completed
    settled(store)


def test_what_cannot_be_done_is_said(store):
    with pytest.raises(FeedFault, match="is not paused"):
        plan(at(store, 1), "resume")
    do(store, "pause", 1)
    with pytest.raises(FeedFault, match="paused already"):
        plan(at(store, 2), "pause")
    with pytest.raises(FeedFault, match="not rolled out in phases"):
        plan(at(store, 2), "pause", "1")
    with pytest.raises(Fault, match="the feed has no 9") as caught:
        plan(at(store, 2), "pause", "9")
    assert caught.value.status == Exit.USAGE


def test_one_that_has_reached_all_is_over(store):
    with pytest.raises(Fault, match="nothing is rolled out"):
        plan(at(store, 7), "pause")
    with pytest.raises(FeedFault, match="has reached all"):
        plan(at(store, 7), "pause", "2")


def test_two_at_a_time_have_to_be_told_apart(tmp_path, store):
    beta = publication(tmp_path, "3", published=NOW, phased_rollout_interval=DAY, channel="beta")
    publish(at(store, 0), beta)
    with pytest.raises(Fault, match="several releases are meant") as caught:
        plan(at(store, 1), "pause")
    assert "1.3 (3)" in str(caught.value) and "1.2 (2)" in str(caught.value)
    mine = at(store, 1)
    turn(mine, plan(mine, "pause", "1.3"))
    assert [one.build for one in releases(mine) if one.paused] == ["3"]


def test_somebody_who_turns_it_first_is_not_overrun(store):
    wanted = plan(at(store, 1), "pause")
    do(store, "complete", 1)
    with pytest.raises(Fault, match="meanwhile") as caught:
        turn(at(store, 1), wanted)
    assert caught.value.status == Exit.CONFLICT
    assert groups(store, 1) is None


def test_publishing_again_does_not_undo_it(tmp_path, store):
    do(store, "pause", 1)
    held = store.objects[FEED_KEY][1]
    release = publication(tmp_path, "2", published=NOW, phased_rollout_interval=DAY)
    publish(at(store, 2), replace(release))
    assert store.objects[FEED_KEY][1] == held and offered(store) == ["2", "1"]
