from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appcast import xml
from appcast.client import Host, select
from appcast.feed import Enclosure, Feed, FeedFault, Item
from appcast.history import Identity, branch, identities, prune, put, record
from errors import Exit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = 86_400


def item(version: object, **given: Any) -> Item:
    given.setdefault("enclosure", Enclosure(f"https://example.test/releases/{version}.dmg", 1))
    return Item(str(version), f"1.{version}", **{"published": NOW - timedelta(days=400), **given})


def versions(feed: Feed) -> list[str]:
    return [entry.version for entry in feed.items]


def test_history_is_kept_newest_first_and_pruned():
    feed = Feed("t")
    for version in range(1, 6):
        feed = put(feed, item(version), NOW, maximum_versions=3)
    assert versions(feed) == ["5", "4", "3"]
    for version in range(6, 9):
        feed = put(feed, item(version), NOW, maximum_versions=0)
    assert versions(feed) == ["8", "7", "6", "5", "4", "3"]


def test_versions_are_ordered_as_numbers_whatever_the_channel():
    feed = Feed("t", items=(item("9"),))
    feed = put(feed, item("10", channel="beta"), NOW)
    assert versions(put(feed, item("9.1"), NOW)) == ["10", "9.1", "9"]


def test_a_version_has_to_rise():
    with pytest.raises(FeedFault, match="does not rise") as caught:
        put(Feed("t", items=(item(5),)), item(5.0), NOW)
    assert caught.value.status == Exit.VERSION


@pytest.mark.parametrize(
    "difference",
    [
        {"minimum_system_version": "12.0.0"},
        {"maximum_system_version": "12.99"},
        {"hardware_requirements": ("arm64",)},
        {"channel": "beta"},
        {"minimum_update_version": "2"},
        {"minimum_autoupdate_version": "2"},
    ],
    ids=str,
)
def test_the_newest_of_every_branch_stays(difference):
    feed = Feed("t", items=(item(1, **difference),))
    for version in range(2, 12):
        feed = put(feed, item(version), NOW, maximum_versions=2)
    assert versions(feed) == ["11", "10", "1"]


def test_names_of_hardware_and_invalid_channels_make_no_branch_of_their_own():
    one, other = item(1, hardware_requirements=("ARM64",)), item(2, hardware_requirements=("arm64",))
    assert branch(one) == branch(other)


def test_who_waits_for_a_rollout_keeps_an_update_meanwhile():
    rolling = {"phased_rollout_interval": DAY, "published": NOW - timedelta(days=2)}
    feed = Feed("t", items=(item(1),))
    for version in range(2, 5):
        feed = put(feed, item(version, **rolling), NOW, maximum_versions=1)
    assert versions(feed) == ["4", "3", "2", "1"]
    waiting = Host("0.5", "14.0", phased_group=6)
    chosen = select(feed, waiting, NOW).item
    assert chosen is not None and chosen.version == "1"
    assert versions(prune(feed, NOW + timedelta(days=5), maximum_versions=1)) == ["4"]


ITEMS = st.builds(
    lambda version, **given: item(version, **given),
    st.integers(1, 60),
    minimum_system_version=st.sampled_from([None, "11.0", "13.0.0", "14.2"]),
    maximum_system_version=st.sampled_from([None, "13.99"]),
    hardware_requirements=st.sampled_from([(), ("arm64",)]),
    channel=st.sampled_from([None, "beta", "no good"]),
    minimum_update_version=st.sampled_from([None, "20"]),
    minimum_autoupdate_version=st.sampled_from([None, "30"]),
    phased_rollout_interval=st.sampled_from([None, DAY]),
    published=st.sampled_from([None, *(NOW - timedelta(days=days) for days in (0, 1, 3, 6, 90))]),
)
HOSTS = st.builds(
    Host,
    st.integers(1, 60).map(str),
    st.sampled_from(["10.15", "12.1", "13.5", "14.2", "27.0"]),
    architecture=st.sampled_from(["arm64", "x86_64"]),
    channels=st.sampled_from([frozenset(), frozenset({"beta"})]),
    phased_group=st.integers(0, 6),
    user_initiated=st.booleans(),
)


@given(
    st.lists(ITEMS, max_size=12, unique_by=lambda one: one.version),
    st.lists(HOSTS, min_size=1, max_size=8),
    st.integers(1, 3),
    st.integers(0, 8),
)
def test_pruning_takes_nothing_away_from_anybody(items, hosts, maximum, days):
    feed = Feed("t", items=tuple(items))
    pruned = prune(feed, NOW, maximum_versions=maximum)
    later = NOW + timedelta(days=days)
    for host in hosts:
        before, after = select(feed, host, later), select(pruned, host, later)
        assert (before.item and before.item.version) == (after.item and after.item.version)


SIGNED = Identity("cHVibGlj", "ab" * 32, "ABCDE12345", "10", "10")


def test_who_signed_is_remembered_a_line_for_each_change():
    feed = Feed("t")
    for build in ["10", "11", "9.5"]:
        feed = record(feed, replace(SIGNED, first=build, last=build))
    assert identities(feed) == (replace(SIGNED, first="9.5", last="11"),)
    renewed = replace(SIGNED, certificate="cd" * 32, first="12", last="12")
    feed = record(feed, renewed)
    assert identities(feed) == (replace(SIGNED, first="9.5", last="11"), renewed)


def test_the_record_survives_writing_and_reading_and_the_items():
    feed = record(Feed("t", items=(item(1),), extra=("<other>x</other>",)), SIGNED)
    read = xml.parse(xml.render(feed))
    assert read.extra == feed.extra and len(feed.extra) == 2
    assert identities(read) == (SIGNED,)
    assert xml.render(read) == xml.render(feed)
    gone = put(read, item(30), NOW, maximum_versions=1)
    assert versions(gone) == ["30"] and identities(gone) == (SIGNED,)


def test_a_damaged_record_is_a_fault():
    text = '<s:identity xmlns:s="tag:standardagents.ai,2026:appcast" key="x"></s:identity>'
    with pytest.raises(FeedFault, match="record"):
        identities(Feed("t", extra=(text,)))
