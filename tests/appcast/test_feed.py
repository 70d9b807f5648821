import pytest

from appcast.feed import Enclosure, Feed, FeedFault, Item, find, highest, merge
from errors import Exit


def item(version: str, channel: str | None = None, title: str = "") -> Item:
    url = f"https://example.test/releases/{version}.dmg"
    return Item(version, version, title=title, channel=channel, enclosure=Enclosure(url, 1))


def versions(feed: Feed) -> list[str]:
    return [entry.version for entry in feed.items]


def test_the_newest_goes_first_and_history_stays():
    feed = Feed("t")
    for version in ["1", "2", "10"]:
        feed = merge(feed, item(version))
    assert versions(feed) == ["10", "2", "1"]


def test_the_same_version_is_replaced():
    feed = merge(merge(merge(Feed("t"), item("1")), item("2", title="old")), item("2", title="new"))
    assert versions(feed) == ["2", "1"]
    assert feed.items[0].title == "new"


@pytest.mark.parametrize("version", ["1", "1.9", "2.0"])
def test_a_version_must_rise(version):
    feed = merge(merge(Feed("t"), item("1")), item("2"))
    with pytest.raises(FeedFault, match="does not rise: the feed has 2 already") as caught:
        merge(feed, item(version))
    assert caught.value.status == Exit.VERSION and "above 2" in (caught.value.cure or "")


@pytest.mark.parametrize("version", ["2.0-beta", "2.0b1", "v2", ""])
def test_a_version_that_sparkle_orders_by_surprise_is_refused(version):
    with pytest.raises(FeedFault, match="orders reliably") as caught:
        merge(Feed("t"), item(version))
    assert caught.value.status == Exit.VERSION


def test_channels_rise_on_their_own():
    feed = merge(merge(Feed("t"), item("1")), item("20", channel="beta"))
    feed = merge(feed, item("2"))
    assert versions(feed) == ["2", "20", "1"]
    with pytest.raises(FeedFault):
        merge(feed, item("19", channel="beta"))


def test_a_beta_can_become_stable():
    feed = merge(merge(Feed("t"), item("1")), item("2", channel="beta"))
    promoted = merge(feed, item("2"))
    assert versions(promoted) == ["2", "1"] and promoted.items[0].channel is None


def test_highest_is_sparkles_choice_whatever_the_order():
    feed = Feed("t", items=(item("1"), item("3"), item("2", "beta")))
    assert highest(feed) == item("3")
    assert highest(feed, lambda entry: entry.channel == "beta") == item("2", "beta")
    assert highest(Feed("t")) is None


def test_find_is_exact():
    feed = Feed("t", items=(item("1.0"), item("2")))
    assert find(feed, "1.0") == item("1.0")
    assert find(feed, "1") is None
