from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appcast.client import (
    GROUPS,
    Host,
    Refused,
    Why,
    channel_of,
    is_critical,
    is_informational,
    is_major,
    select,
    trouble,
)
from appcast.feed import (
    Critical,
    Delta,
    Description,
    Enclosure,
    Feed,
    FeedFault,
    Informational,
    Item,
    NotesLink,
)
from appcast.names import DELTA_FROM
from appcast.versions import compare, key

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = 86_400
MAC = Host("5", "15.1.0")


def item(version: str = "9", **values) -> Item:
    return Item(version, **{"enclosure": Enclosure(f"https://e.test/{version}.dmg", 1), **values})


def offered(*items: Item, host: Host = MAC, now: datetime = NOW) -> str | None:
    chosen = select(Feed("t", items=items), host, now).item
    return None if chosen is None else chosen.version


def why(*items: Item, host: Host = MAC, now: datetime = NOW) -> list[Why]:
    return [one.why for one in select(Feed("t", items=items), host, now).considered]


def test_the_first_item_with_the_highest_version_is_taken():
    first, second = item("10", title="first"), item("10.0", title="second")
    chosen = select(Feed("t", items=(item("9"), first, second, item("8"))), MAC, NOW)
    assert chosen.item is first
    assert [one.why for one in chosen.considered] == [
        Why.NOT_HIGHEST, Why.OFFERED, Why.NOT_HIGHEST, Why.NOT_HIGHEST,
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["5", "5.0", "4.9", "1", "5b1", "5-beta"])
def test_nothing_older_or_equal_is_offered(version):
    chosen = select(Feed("t", items=(item(version),)), MAC, NOW)
    assert chosen.item is None and chosen.reason == "no item is newer than 5"
    assert [one.why for one in chosen.considered] == [Why.NOT_NEWER]


def test_an_empty_feed_has_nothing_to_offer():
    assert select(Feed("t"), MAC, NOW).reason == "no item is newer than 5"


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"minimum_system_version": "15.1"}, None),
        ({"minimum_system_version": "15.1.1"}, Why.SYSTEM_TOO_OLD),
        ({"minimum_system_version": "16"}, Why.SYSTEM_TOO_OLD),
        ({"maximum_system_version": "15.1"}, None),
        ({"maximum_system_version": "15.0.9"}, Why.SYSTEM_TOO_NEW),
        ({"hardware_requirements": ("arm64",)}, None),
        ({"minimum_update_version": "5"}, None),
        ({"minimum_update_version": "5.0.1"}, Why.MINIMUM_UPDATE),
        ({"channel": "beta"}, Why.CHANNEL),
        ({"channel": "no such name!"}, None),  # Sparkle takes it for the default channel
        ({"channel": "bêta"}, Why.CHANNEL),
        ({"enclosure": Enclosure("https://e.test/x", os="macos")}, None),
        ({"enclosure": Enclosure("https://e.test/x", os="windows")}, Why.OTHER_SYSTEM),
        ({"enclosure": Enclosure("https://e.test/x", os="macOS")}, Why.OTHER_SYSTEM),
        ({"enclosure": Enclosure("https://e.test/x", extra=((DELTA_FROM, "4"),))}, Why.TOP_LEVEL_DELTA),
    ],
)
def test_what_does_not_fit_is_left_out(values, fits):
    assert why(item(**values)) == [fits or Why.OFFERED]
    assert why(item("10", **values), item("9")) == [
        fits or Why.OFFERED,
        Why.OFFERED if fits else Why.NOT_HIGHEST,
    ]


def test_the_reason_names_the_newest_that_was_rejected():
    items = item("7", minimum_system_version="16"), item("8", channel="beta"), item("4")
    chosen = select(Feed("t", items=items), MAC, NOW)
    assert chosen.reason == "8 is in a channel that this Mac does not follow"


def test_channels_add_to_the_default():
    items = item("8"), item("9", channel="beta"), item("10", channel="nightly")
    assert offered(*items) == "8"
    assert offered(*items, host=replace(MAC, channels={"beta"})) == "9"
    assert offered(*items, host=replace(MAC, channels={"beta", "nightly"})) == "10"
    assert channel_of(items[1]) == "beta" and channel_of(items[0]) is None


@pytest.mark.parametrize(
    ("values", "runs"),
    [
        ({}, True),
        ({"hardware_requirements": ("arm64",)}, False),
        ({"hardware_requirements": ("avx", "ARM64")}, False),
        ({"hardware_requirements": ("avx",)}, True),  # unknown names don't count
        ({"minimum_system_version": "15"}, True),
    ],
)
def test_intel_macs(values, runs):
    assert offered(item(**values), host=replace(MAC, architecture="x86_64")) == ("9" if runs else None)
    assert offered(item(**values)) == "9"


def test_macos_27_implies_apple_silicon():
    intel = Host("5", "27.0", "x86_64")
    assert why(item(minimum_system_version="27.0"), host=intel) == [Why.HARDWARE]
    assert why(item(minimum_system_version="26.9"), host=intel) == [Why.OFFERED]
    assert why(item(minimum_system_version="27.0"), host=Host("5", "27.0")) == [Why.OFFERED]


def test_a_rollout_reaches_group_after_group():
    phased = item(phased_rollout_interval=DAY, published=NOW)
    for day in range(GROUPS + 1):
        now = NOW + timedelta(days=day)
        reached = [
            offered(phased, host=replace(MAC, phased_group=group), now=now) == "9" for group in range(GROUPS)
        ]
        assert reached == [group <= day for group in range(GROUPS)]
    last = replace(MAC, phased_group=6)
    assert why(phased, host=last, now=NOW + timedelta(seconds=6 * DAY - 1)) == [Why.ROLLOUT]
    assert (
        offered(phased, host=MAC, now=NOW - timedelta(seconds=1)) is None
    )  # not even the first before its date


@pytest.mark.parametrize(
    "change", [{"critical": Critical()}, {"published": None}, {"phased_rollout_interval": None}]
)
def test_critical_and_undated_updates_don_t_wait(change):
    last = replace(MAC, phased_group=6)
    phased = item(phased_rollout_interval=DAY, published=NOW)
    assert offered(phased, host=last) is None
    assert offered(replace(phased, **change), host=last) == "9"


def test_who_asks_does_not_wait_and_gets_what_was_skipped():
    phased = item("9", phased_rollout_interval=DAY, published=NOW)
    waiting = replace(MAC, phased_group=6, skipped_version="9")
    assert offered(phased, host=waiting) is None
    chosen = select(Feed("t", items=(phased,)), replace(waiting, user_initiated=True), NOW)
    assert chosen.item == phased and not chosen.silent_allowed


def test_a_skipped_update_and_all_below_it_stay_away():
    skipping = replace(MAC, skipped_version="9")
    assert why(item("9"), item("8"), host=skipping) == [Why.SKIPPED, Why.SKIPPED]
    assert offered(item("9"), item("9.1"), host=skipping) == "9.1"


def test_a_minor_update_comes_before_a_major_upgrade():
    major, minor = item("20", minimum_autoupdate_version="10"), item("9")
    chosen = select(Feed("t", items=(major, minor)), MAC, NOW)
    assert chosen.item is minor and chosen.silent_allowed and not chosen.major
    assert [one.why for one in chosen.considered] == [Why.MAJOR_LATER, Why.OFFERED]
    chosen = select(Feed("t", items=(major, minor)), replace(MAC, version="9"), NOW)
    assert chosen.item is major and chosen.major and not chosen.silent_allowed
    assert is_major(major, replace(MAC, version="9.9")) and not is_major(major, replace(MAC, version="10"))


MAJOR = item("20", minimum_autoupdate_version="10")


@pytest.mark.parametrize(
    ("host", "change", "skips"),
    [
        ({"skipped_major_version": "10"}, {}, True),
        ({"skipped_major_version": "11"}, {}, True),
        ({"skipped_major_version": "9"}, {}, False),  # another major upgrade was skipped
        ({"skipped_major_version": "10", "version": "10"}, {}, False),  # it is here already
        ({"skipped_major_version": "10"}, {"minimum_autoupdate_version": None}, False),
        ({"skipped_major_version": "10"}, {"ignore_skipped_upgrades_below_version": "15"}, False),
        (
            {"skipped_major_version": "10", "skipped_major_subrelease": "14"},
            {"ignore_skipped_upgrades_below_version": "15"},
            False,
        ),
        (
            {"skipped_major_version": "10", "skipped_major_subrelease": "15"},
            {"ignore_skipped_upgrades_below_version": "15"},
            True,
        ),
    ],
)
def test_skipped_major_upgrades(host, change, skips):
    wanted = [Why.SKIPPED_MAJOR if skips else Why.OFFERED]
    assert why(replace(MAJOR, **change), host=replace(MAC, **host)) == wanted


@pytest.mark.parametrize(
    ("critical", "is_so"),
    [
        (None, False),
        (Critical(), True),
        (Critical("5"), False),
        (Critical("5.1"), True),
        (Critical(""), False),
    ],
)
def test_critical_updates(critical, is_so):
    assert is_critical(item(critical=critical), MAC) is is_so
    assert select(Feed("t", items=(item(critical=critical),)), MAC, NOW).critical is is_so


LINK = {"link": "https://e.test/"}


@pytest.mark.parametrize(
    ("values", "is_so"),
    [
        ({}, False),
        ({"informational": Informational()}, False),  # without a link it can't be announced
        ({"link": "ftp://e.test", "informational": Informational()}, False),
        ({**LINK}, False),
        ({**LINK, "enclosure": None}, True),
        ({**LINK, "informational": Informational()}, True),
        ({**LINK, "informational": Informational(("4", "5"))}, True),
        ({**LINK, "informational": Informational(("5.0",))}, False),  # named versions are exact
        ({**LINK, "informational": Informational(("4",), ("5",))}, False),
        ({**LINK, "informational": Informational(("4",), ("3", "5.1"))}, True),
    ],
)
def test_informational_updates(values, is_so):
    chosen = select(Feed("t", items=(item(**values),)), MAC, NOW)
    assert chosen.informational is is_so is is_informational(item(**values), MAC)
    assert chosen.silent_allowed is not is_so


@pytest.mark.parametrize(
    ("enclosure", "silent"),
    [
        (Enclosure("https://e.test/a.dmg"), True),
        (Enclosure("https://e.test/a.pkg?x=1"), False),
        (Enclosure("https://e.test/a.pkg", installation_type="application"), True),
        (Enclosure("https://e.test/a.zip", installation_type="package"), False),
    ],
)
def test_packages_are_never_silent(enclosure, silent):
    assert select(Feed("t", items=(item(enclosure=enclosure),)), MAC, NOW).silent_allowed is silent


def test_a_delta_is_for_exactly_one_version():
    first, last = (
        Delta("5", Enclosure("https://e.test/1.delta")),
        Delta("5", Enclosure("https://e.test/2.delta")),
    )
    other, bad = (
        Delta("5.0", Enclosure("https://e.test/3.delta")),
        Delta("5", Enclosure("ftp://e.test/4.delta")),
    )
    assert select(Feed("t", items=(item(deltas=(first, last, other, bad)),)), MAC, NOW).delta is last
    assert select(Feed("t", items=(item(deltas=(other, bad)),)), MAC, NOW).delta is None


NOTES = {
    tag: NotesLink(f"https://e.test/{tag}", tag) for tag in ["en", "de", "pt-BR", "zh-Hans", "zh-TW", "fr-CA"]
}


@pytest.mark.parametrize(
    ("languages", "tag"),
    [
        (("de",), "de"),
        (("DE_at",), "de"),
        (("ja", "de-CH"), "de"),
        (("pt",), "pt-BR"),
        (("pt-PT",), "pt-BR"),
        (("fr",), "fr-CA"),
        (("zh",), "zh-Hans"),
        (("zh-Hans-CN",), "zh-Hans"),
        (("zh-HK",), "zh-TW"),
        (("zh-Hant-MO",), "zh-TW"),
        (("ja",), "en"),
        ((), "en"),
    ],
)
def test_notes_are_in_the_user_s_language(languages, tag):
    links = tuple(NOTES.values())
    host = replace(MAC, languages=languages)
    chosen = select(Feed("t", items=(item(release_notes=links, full_release_notes=links),)), host, NOW)
    assert chosen.notes is NOTES[tag] and chosen.full_notes is NOTES[tag]
    texts = [Description(tag, tag) for tag in NOTES]
    told = item(description="en", translations=tuple(texts[1:]))
    notes = select(Feed("t", items=(told,)), host, NOW).notes
    assert isinstance(notes, Description) and notes.text == tag


def test_notes_without_a_language_count_as_english():
    plain, german = NotesLink("https://e.test/any"), NOTES["de"]
    told = item(release_notes=(german, plain))
    assert select(Feed("t", items=(told,)), MAC, NOW).notes is plain
    assert select(Feed("t", items=(told,)), replace(MAC, languages=("ja",)), NOW).notes is german


def test_a_link_goes_before_a_description_but_must_be_http():
    told = item(description="text", description_format="markdown", release_notes=(NOTES["en"],))
    assert select(Feed("t", items=(told,)), MAC, NOW).notes is NOTES["en"]
    bad = replace(told, release_notes=(NotesLink("file:///etc/hosts"),))
    assert select(Feed("t", items=(bad,)), MAC, NOW).notes == Description("text", None, "markdown")
    assert select(Feed("t", items=(item(),)), MAC, NOW).notes is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (item(""), "no sparkle:version"),
        (item(enclosure=None), "neither an enclosure nor an"),
        (item(enclosure=None, link="mailto:a@e.test"), "neither an enclosure nor an"),
        (item(enclosure=Enclosure("")), "neither a URL"),
        (item(enclosure=Enclosure("file:///x")), "not http"),
        (item(enclosure=Enclosure("https://e.test/x", installation_type="magic")), "'magic'"),
    ],
)
def test_one_bad_item_makes_sparkle_refuse_the_feed(bad, says):
    feed = Feed("t", items=(item("10"), replace(bad, line=7)))
    assert [(one.line, one.item) for one in trouble(feed)] == [(7, feed.items[1])]
    with pytest.raises(Refused, match=says) as caught:
        select(feed, MAC, NOW)
    assert isinstance(caught.value, FeedFault)
    assert caught.value.where == "line 7" and caught.value.cure


def test_every_reason_for_a_refusal_is_told():
    feed = Feed("t", items=(item(""), item("8", enclosure=None), item("9")))
    with pytest.raises(Refused) as caught:
        select(feed, MAC, NOW)
    assert len(caught.value.troubles) == 2 and len(caught.value.details) == 1


versions = st.lists(st.integers(0, 12), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
odd = versions | st.sampled_from(["1.0-beta", "1.0b2", "1.0 beta", "-1", "(1", "+1", "9.0.", "1é"])
maybe = st.none() | versions
items = st.builds(
    item,
    odd,
    link=st.none() | st.just("https://e.test/"),
    minimum_system_version=maybe,
    maximum_system_version=maybe,
    minimum_update_version=maybe,
    minimum_autoupdate_version=maybe,
    ignore_skipped_upgrades_below_version=maybe,
    channel=st.sampled_from([None, "beta", "not!"]),
    hardware_requirements=st.sampled_from([(), ("arm64",)]),
    critical=st.none() | st.builds(Critical, maybe),
    informational=st.none() | st.just(Informational()),
    published=st.none() | st.integers(0, 8).map(lambda days: NOW - timedelta(days=days)),
    phased_rollout_interval=st.sampled_from([None, 0, DAY]),
)
hosts = st.builds(
    Host,
    odd,
    versions,
    st.sampled_from(["arm64", "x86_64"]),
    st.sampled_from([frozenset(), frozenset({"beta"})]),
    phased_group=st.integers(0, GROUPS - 1),
    skipped_version=maybe,
    skipped_major_version=maybe,
    skipped_major_subrelease=maybe,
    user_initiated=st.booleans(),
)


@given(st.lists(items, max_size=8), hosts)
def test_selection_holds_what_it_promises(entries, host):
    feed = Feed("t", items=tuple(entries))
    chosen = select(feed, host, NOW)
    assert chosen == select(feed, host, NOW)
    assert [one.item for one in chosen.considered] == entries
    assert [one.why for one in chosen.considered].count(Why.OFFERED) == (chosen.item is not None)
    if chosen.item is None:
        assert chosen.reason and chosen.delta is None and chosen.notes is None
        return
    assert compare(host.version, chosen.item.version) == -1  # never an older or equal version
    if not host.version.startswith("-"):  # where the comparator contradicts itself
        assert compare(chosen.item.version, host.version) == 1
    assert chosen.reason is None and not (chosen.silent_allowed and (chosen.major or chosen.informational))
    passed = [one.item for one in chosen.considered if one.why in (Why.NOT_HIGHEST, Why.MAJOR_LATER)]
    assert chosen.major is False or all(is_major(other, host) for other in passed)


@given(st.lists(versions, max_size=8), versions)
def test_among_sound_versions_the_highest_is_taken(entries, version):
    chosen = offered(*map(item, entries), host=Host(version, "15.0.0"))
    highest = max([version, *entries], key=key)
    assert chosen is None if compare(highest, version) == 0 else compare(chosen or "", highest) == 0


@given(st.lists(st.tuples(items, versions), max_size=8), hosts, versions)
def test_asking_never_gives_less(pairs, host, version):
    """What a background check finds, an explicit one finds too, or something newer of no lesser kind."""
    feed = Feed("t", items=tuple(replace(entry, version=sound) for entry, sound in pairs))
    host = replace(host, version=version)
    quiet = select(feed, replace(host, user_initiated=False), NOW)
    asked = select(feed, replace(host, user_initiated=True), NOW)
    if quiet.item is not None:
        assert asked.item is not None
        assert asked.major <= quiet.major
