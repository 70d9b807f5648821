"""Who is offered an item before, while and after its rollout is held: asked of Sparkle's own rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appcast import xml
from appcast.audience import rollouts
from appcast.client import GROUPS, Host, select
from appcast.feed import Enclosure, Feed, FeedFault, Item
from appcast.lint import lint
from appcast.rollout import HOLD, complete, pause, released, resume, rollout, same_but_for_rollout

BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = Item("56", "1.5", published=BEGAN - 9 * DAY, enclosure=Enclosure("https://example.test/56.dmg", 1))
NEW = Item(
    "57", "1.6", published=BEGAN, phased_rollout_interval=86400,
    enclosure=Enclosure("https://example.test/57.dmg", 1),
)  # fmt: skip


def groups(item: Item, now: datetime) -> list[int]:
    """The groups that are offered the item at `now`, 0 to 6, by a feed that was written and read again."""
    feed = xml.parse(xml.render(Feed("t", items=(item, OLD))))
    offers = [select(feed, Host("56", "14.0", phased_group=group), now).item for group in range(GROUPS)]
    return [group for group, found in enumerate(offers) if found is not None and found.version == "57"]


def test_a_pause_keeps_what_was_reached_and_stops_the_rest() -> None:
    now = BEGAN + 2.5 * DAY
    held = pause(NEW, now)
    assert groups(NEW, now) == [0, 1, 2] == groups(held, now)
    assert groups(NEW, now + 9 * DAY) == list(range(7))
    for later in (DAY, 30 * DAY, 4 * 365 * DAY):
        assert groups(held, now + later) == [0, 1, 2]
    assert released(held) == BEGAN and rollout(held) is not None


def test_resuming_goes_on_where_it_stopped() -> None:
    paused, resumed = BEGAN + 2.5 * DAY, BEGAN + 20 * DAY
    goes = resume(pause(NEW, paused), resumed)
    assert groups(goes, resumed) == [0, 1, 2]
    assert groups(goes, resumed + 0.49 * DAY) == [0, 1, 2]
    assert groups(goes, resumed + 0.5 * DAY) == [0, 1, 2, 3]
    assert groups(goes, resumed + 3.5 * DAY) == list(range(7))
    assert released(goes) == BEGAN
    twice = resume(pause(goes, resumed + DAY), resumed + 2 * DAY)
    assert groups(twice, resumed + 2 * DAY) == [0, 1, 2, 3]
    assert groups(twice, resumed + 2.5 * DAY) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("paused", [True, False])
def test_completing_reaches_everybody_at_once(paused: bool) -> None:
    now = BEGAN + 1.5 * DAY
    done = complete(pause(NEW, now) if paused else NEW, now + DAY)
    assert groups(done, now + DAY) == list(range(7))
    assert done.published == BEGAN and done.phased_rollout_interval is None
    known = rollout(done)
    assert known and known.completed == now + DAY and known.groups(now) == GROUPS


def test_a_check_by_hand_is_offered_it_even_while_it_is_held() -> None:
    held = pause(NEW, BEGAN)
    feed = Feed("t", items=(held, OLD))
    by_hand = Host("56", "14.0", phased_group=6, user_initiated=True)
    assert select(feed, by_hand, BEGAN).item == held
    assert groups(held, BEGAN + 99 * DAY) == [0]


@given(st.integers(1, 10**6), st.floats(0, 6.99), st.integers(0, 10**7), st.integers(0, 10**7))
def test_at_any_moment_the_pause_changes_nothing_and_the_rest_waits_its_rest(
    interval: int, part: float, away: int, later: int
) -> None:
    item = replace(NEW, phased_rollout_interval=interval)
    now = BEGAN + timedelta(seconds=int(part * interval))
    known = rollout(item)
    assert known
    if known.groups(now) == GROUPS:
        with pytest.raises(FeedFault, match="all 7"):
            pause(item, now)
        return
    held, back = pause(item, now), now + timedelta(seconds=away)
    assert groups(held, now) == groups(item, now) == groups(held, back)
    goes = resume(held, back)
    ahead = timedelta(seconds=later)
    assert groups(goes, back + ahead) == groups(item, now + ahead)


def test_what_cannot_be_is_said() -> None:
    now = BEGAN + DAY
    held = pause(NEW, now)
    with pytest.raises(FeedFault, match="paused already"):
        pause(held, now)
    with pytest.raises(FeedFault, match="not paused"):
        resume(NEW, now)
    with pytest.raises(FeedFault, match="everybody is offered it"):
        pause(OLD, now)
    with pytest.raises(FeedFault, match="reached all 7"):
        complete(NEW, now + 9 * DAY)
    damaged = replace(held, extra=(held.extra[0].replace('interval="86400"', 'interval="x"'),))
    with pytest.raises(FeedFault, match="damaged"):
        rollout(damaged)


def test_a_held_item_reads_as_released_when_it_was() -> None:
    held = pause(NEW, BEGAN + 3.5 * DAY)
    assert held.published == BEGAN + 3 * DAY - timedelta(seconds=3 * HOLD)
    found = lint(xml.render(Feed("t", items=(held, OLD))), now=BEGAN + 9 * DAY)
    assert not {one.id for one in found} & {"version-falls", "order", "date-bad", "date-future", "unknown"}
    assert [
        (item.version, count) for item, count in rollouts(Feed("t", items=(held,)), BEGAN + 99 * DAY)
    ] == [("57", 4)]


def test_items_compare_whatever_became_of_their_rollout() -> None:
    held = pause(NEW, BEGAN + DAY)
    assert same_but_for_rollout(held, NEW) and same_but_for_rollout(complete(held, BEGAN + DAY), NEW)
    assert not same_but_for_rollout(held, replace(NEW, title="Other"))
    assert not same_but_for_rollout(held, replace(NEW, phased_rollout_interval=3600))
