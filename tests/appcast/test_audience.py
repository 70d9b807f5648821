from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appcast.audience import (
    MOST_VERSIONS,
    UP_TO_DATE,
    audience,
    channel_choices,
    groups_of,
    offer_of,
    regressions,
    rollouts,
    stretches,
    typical_hosts,
    versions_of,
)
from appcast.audience_merge import Axes, describe, merged
from appcast.client import Host, Refused, select
from appcast.feed import Critical, Delta, Enclosure, Feed, Informational, Item

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = 86400


def item(version: int | str, **fields: object) -> Item:
    published = NOW - timedelta(days=30)
    plain = Item(
        str(version),
        published=published,
        link="https://example.test/",
        minimum_system_version="13.0.0",
        enclosure=Enclosure(f"https://example.test/{version}.dmg", 1),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def feed(*items: Item) -> Feed:
    return Feed("A", items=items)


def told(*feeds: Feed, before: Feed | None = None) -> list[str]:
    """Who gets what, a line for each group."""
    items = [one for each in feeds for one in each.items]
    rows = audience(feeds[0], typical_hosts(*feeds, impossible=True), NOW, before=before)
    lines = []
    for group in merged(rows, Axes.of(items)):
        where = (group.versions, group.systems, group.architectures, group.channels, group.groups)
        lines.append(" | ".join((*where, group.row.offer.version or group.row.offer.why)))
    return lines


def test_macs_are_told_apart_by_system_and_processor():
    assert told(feed(item(3, hardware_requirements=("arm64",)), item(2))) == [
        "below 3 | before 13 | any | any | any | 3 needs a newer macOS",
        "below 3 | 13 or later | Apple silicon | any | any | 3",
        "below 2 | 13 or later | Intel | any | any | 2",
        "2 | 13 or later | Intel | any | any | 3 needs Apple silicon",
        "3 or later | any | any | any | any | up to date",
    ]


def test_a_phased_rollout_is_shown_by_group():
    phased = item(3, phased_rollout_interval=DAY, published=NOW - timedelta(days=2.5))
    assert told(feed(phased, item(2))) == [
        "below 3 | before 13 | any | any | any | 3 needs a newer macOS",
        "below 3 | 13 or later | any | any | 1–3 | 3",
        "below 2 | 13 or later | any | any | 4–7 | 2",
        "2 | 13 or later | any | any | 4–7 | 3 is not rolled out to this Mac's group yet",
        "3 or later | any | any | any | any | up to date",
    ]
    assert list(rollouts(feed(phased, item(2)), NOW)) == [(phased, 3)]
    assert list(rollouts(feed(phased), NOW + timedelta(days=4))) == []


def test_channels_are_shown_one_by_one():
    assert told(feed(item(3, channel="beta"), item(2))) == [
        "below 2 | before 13 | any | default | any | 2 needs a newer macOS",
        "below 2 | 13 or later | any | default | any | 2",
        "2 or later | any | any | default | any | up to date",
        "below 3 | before 13 | any | beta | any | 3 needs a newer macOS",
        "below 3 | 13 or later | any | beta | any | 3",
        "3 or later | any | any | beta | any | up to date",
    ]


def test_what_an_offer_says():
    major = item(3, minimum_autoupdate_version="2", critical=Critical("1.5"))
    one = replace(major, deltas=(Delta("1", Enclosure("https://example.test/d.delta", 1)),))
    offer = offer_of(select(feed(one), Host("1", "14.0"), NOW), Host("1", "14.0"))
    assert (offer.version, offer.major, offer.critical, offer.delta, offer.silent) == (
        "3",
        True,
        True,
        True,
        False,
    )
    news = item(3, informational=Informational())
    offer = offer_of(select(feed(news), Host("1", "14.0"), NOW), Host("1", "14.0"))
    assert (offer.informational, offer.silent, offer.delta) == (True, False, False)
    assert offer_of(select(feed(news), Host("3", "14.0"), NOW), Host("3", "14.0")).why == UP_TO_DATE


def test_what_makes_a_difference_is_looked_at():
    one = item(
        9,
        minimum_update_version="3",
        minimum_autoupdate_version="4",
        critical=Critical("5"),
        informational=Informational(("6",), ("7",)),
        deltas=(Delta("8", Enclosure("https://example.test/d.delta", 1)),),
    )
    assert versions_of([one]) == ("0", "3", "4", "5", "6", "7", "8", "9")
    assert channel_choices([one, item(1, channel="beta"), item(1, channel="no channel")]) == (
        frozenset(),
        frozenset({"beta"}),
    )
    assert groups_of([one]) == range(1) and groups_of([item(1, phased_rollout_interval=1)]) == range(7)


def test_systems_are_cut_where_items_begin_and_end():
    cut = stretches([item(1, maximum_system_version="13.9.9"), item(2, minimum_system_version="14.0.0")])
    assert [(one.low, one.high, one.inclusive, one.after) for one in cut] == [
        (None, "13.0.0", False, False),
        ("13.0.0", "13.9.9", True, False),
        ("13.9.9", "14.0.0", False, True),
        ("14.0.0", None, False, False),
    ]
    assert stretches([item(1, minimum_system_version=None)])[0].high is None


def test_many_versions_are_thinned_out_and_limits_kept():
    many = [item(number) for number in range(2000)]
    kept = versions_of([*many, item(3000, minimum_update_version="17.5")])
    assert len(kept) <= MOST_VERSIONS + 2
    assert kept[0] == "0" and {"17.5", "1999", "3000"} <= set(kept)


def test_no_mac_has_what_it_cannot_run():
    one = feed(item(2, hardware_requirements=("arm64",), minimum_system_version="14.0.0"), item(1))
    hosts = typical_hosts(one)
    assert not [host for host in hosts if host.version == "2" and host.architecture == "x86_64"]
    assert not [host for host in hosts if host.version == "2" and host.system_version < "14"]
    assert [host for host in hosts if host.version == "1" and host.system_version == "13.0.0"]
    assert len(typical_hosts(one, impossible=True)) > len(hosts)


def test_a_refused_feed_is_refused():
    with pytest.raises(Refused):
        audience(feed(item(2, enclosure=None, link=None)), [Host("1", "14.0")], NOW)


# regressions


def lost(before: Feed | None, after: Feed) -> tuple[str, ...]:
    found = regressions(before, after, typical_hosts(before, after), NOW)
    return describe(found, [*(before.items if before else ()), *after.items])


def test_nothing_is_lost_where_nothing_was_or_all_rises():
    assert lost(None, feed(item(1))) == ()
    assert lost(feed(item(2), item(1)), feed(item(3), item(2), item(1))) == ()
    assert lost(feed(item(2), item(1)), feed(item(2))) == ()
    assert lost(feed(item(2, enclosure=None, link=None)), feed(item(1))) == ()  # it was refused as a whole


def test_an_update_taken_away_is_noticed():
    assert lost(feed(item(2), item(1)), feed(item(1))) == (
        "build 1 on macOS 13 or later: 2 is offered now, nothing would be",
        "build below 1 on macOS 13 or later: 2 is offered now, 1 would be",
    )


def test_intel_macs_left_behind_are_noticed():
    after = feed(item(3, hardware_requirements=("arm64",)))
    assert lost(feed(item(2)), after) == (
        "build below 2 on macOS 13 or later, Intel: 2 is offered now, nothing would be",
    )
    assert lost(feed(item(2)), feed(*after.items, item(2))) == ()


def test_old_systems_left_behind_are_noticed():
    after = feed(item(3, minimum_system_version="14.0.0"))
    assert lost(feed(item(2)), after) == (
        "build below 2 on macOS 13, before 14: 2 is offered now, nothing would be",
    )


def test_a_phased_rollout_that_forgets_the_one_before_is_noticed():
    phased = item(3, phased_rollout_interval=DAY, published=NOW)
    assert lost(feed(item(2)), feed(phased)) == (
        "build below 2 on macOS 13 or later, rollout group 2–7: 2 is offered now, nothing would be",
    )
    assert lost(feed(item(2)), feed(phased, item(2))) == ()


def test_a_channel_left_behind_is_noticed():
    before = feed(item(3, channel="beta"), item(2))
    assert lost(before, feed(item(2))) == (
        "build 2 on macOS 13 or later, channel beta: 3 is offered now, nothing would be",
        "build below 2 on macOS 13 or later, channel beta: 3 is offered now, 2 would be",
    )


def test_an_update_that_is_only_announced_is_noticed():
    assert lost(feed(item(2)), feed(item(3, informational=Informational()))) == (
        "build below 2 on macOS 13 or later: 2 is offered now, 3 would only be announced",
    )


def test_a_feed_that_sparkle_refuses_takes_everything_away():
    after = feed(item(3), item("", enclosure=None, link=None))
    assert lost(feed(item(2)), after) == (
        "build below 2 on macOS 13 or later: 2 is offered now, nothing would be",
    )


# what is left out changes nothing

_items = st.builds(
    item,
    st.integers(1, 9),
    channel=st.sampled_from([None, None, "beta"]),
    minimum_system_version=st.sampled_from([None, "13.0.0", "14.0.0"]),
    maximum_system_version=st.sampled_from([None, None, "13.9.9"]),
    hardware_requirements=st.sampled_from([(), ("arm64",)]),
    minimum_autoupdate_version=st.sampled_from([None, None, "4"]),
    minimum_update_version=st.sampled_from([None, None, "3"]),
    phased_rollout_interval=st.sampled_from([None, None, DAY]),
    published=st.integers(0, 9).map(lambda days: NOW - timedelta(days=days)),
)
_feeds = st.lists(_items, min_size=1, max_size=4).map(lambda items: feed(*items))


@settings(max_examples=25, deadline=None)
@given(_feeds)
def test_the_matrix_says_what_the_client_does(one):
    hosts = typical_hosts(one, impossible=True)
    for row in audience(one, hosts, NOW):
        chosen = select(one, row.host, NOW).item
        assert row.offer.version == (chosen.version if chosen else None)


@settings(max_examples=25, deadline=None)
@given(_feeds)
def test_groups_cover_each_host_once_with_its_own_offer(one):
    hosts = typical_hosts(one, impossible=True)
    rows = audience(one, hosts, NOW)
    groups = merged(rows, Axes.of(one.items))
    assert len({(g.versions, g.systems, g.architectures, g.channels, g.groups) for g in groups}) == len(
        groups
    )
    assert {group.row.offer for group in groups} == {row.offer for row in rows}
    assert len(groups) <= len(rows)


@settings(max_examples=25, deadline=None)
@given(_feeds, _feeds)
def test_regressions_are_just_those_who_are_worse_off(before, after):
    hosts = typical_hosts(before, after)
    worse = {(each.host, each.kind) for each in regressions(before, after, hosts, NOW)}
    for host in hosts:
        was, now_is = select(before, host, NOW).item, select(after, host, NOW).item
        gone = was is not None and now_is is None
        older = was is not None and now_is is not None and int(now_is.version) < int(was.version)
        assert ((host, "lost") in worse, (host, "older") in worse) == (gone, older)
