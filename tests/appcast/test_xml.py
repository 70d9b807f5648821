import contextlib
import gc
import time
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from appcast import xml
from appcast.client import Refused
from appcast.feed import (
    Critical,
    Delta,
    Description,
    Enclosure,
    Feed,
    FeedFault,
    Informational,
    Item,
    NotesFormat,
    NotesLink,
)
from appcast.names import ITEM_TEXTS, LANGUAGE, NOTES_LINKS

NS = xml.NAMESPACE
FULL = Item(
    version="142",
    short_version="1.4.2",
    title="API for Cursor 1.4.2 <&>",
    link="https://example.test/",
    description="<h3>Added</h3>\n<p>Größer & <em>besser</em></p>",
    published=datetime(2026, 11, 22, 21, 4, 5, tzinfo=UTC),
    minimum_system_version="13.0.0",
    hardware_requirements=("arm64",),
    channel="beta",
    enclosure=Enclosure("https://example.test/releases/a.dmg", 12345, signature="c2ln"),
    release_notes=(NotesLink("https://example.test/notes"),),
    full_release_notes=(NotesLink("https://example.test/all"),),
)


def feed(item: str, attributes: str = "") -> bytes:
    root = f'<rss version="2.0" xmlns:sparkle="{NS}" {attributes}>'
    return f"{root}<channel><title>t</title>{item}</channel></rss>".encode()


def one(item: str, attributes: str = "") -> Item:
    (parsed,) = xml.parse(feed(f"<item>{item}</item>", attributes)).items
    return parsed


LINK = "<link>https://example.test/</link>"


def test_what_is_written_is_read_back():
    whole = Feed(
        "API for Cursor",
        "https://example.test/appcast.xml",
        "Updates",
        "en",
        (FULL, Item("1", link="https://e.test/")),
    )
    assert xml.parse(xml.render(whole)) == whole


def test_rendering_is_what_sparkle_reads():
    root = etree.fromstring(xml.render(Feed("t", items=(FULL,))))
    (item,) = root.findall("./channel/item")
    (enclosure,) = item.findall("enclosure")
    assert enclosure.get("length") == "12345" and enclosure.get(f"{{{NS}}}length") is None
    assert enclosure.get(f"{{{NS}}}edSignature") == "c2ln"
    assert item.findtext(f"{{{NS}}}hardwareRequirements") == "arm64"
    assert not any("hardwareRequirements" in name for name in enclosure.attrib)
    assert item.findtext("pubDate") == "Sun, 22 Nov 2026 21:04:05 +0000"
    assert item.findtext(f"{{{NS}}}version") == "142"
    assert item.findtext(f"{{{NS}}}minimumSystemVersion") == "13.0.0"
    assert item.findtext("description") == FULL.description


def test_rendering_is_deterministic_and_readable():
    data = xml.render(Feed("t", items=(FULL,)))
    assert data == xml.render(Feed("t", items=(FULL,)))
    assert data.startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<rss ')
    assert b"<![CDATA[<h3>Added</h3>" in data and data.endswith(b"</rss>\n")


def test_white_space_around_texts_does_not_make_another_feed():
    item = Item("1", link="https://e.test/", title=" a\n", description="\n<p>x</p>\r\n<p>y</p>\n")
    once = xml.render(Feed("t ", items=(item,)))
    assert xml.render(xml.parse(once)) == once
    assert xml.parse(once).items[0].description == "<p>x</p>\r\n<p>y</p>"


def test_dates_are_written_in_utc():
    local = datetime.fromisoformat("2026-11-22T23:04:05+02:00")
    assert b"21:04:05 +0000" in xml.render(
        Feed("t", items=(Item("1", link="https://e.test", published=local),))
    )


@pytest.mark.parametrize("format_", ["html", "markdown", "plain-text"])
def test_notes_keep_their_format(format_):
    item = Item("1", link="https://e.test/", description="# a ]]> b", description_format=format_)
    assert xml.parse(xml.render(Feed("t", items=(item,)))).items == (item,)


def test_any_prefix_will_do_but_only_the_exact_namespace():
    source = f'<rss xmlns:s="{NS}"><channel><item><s:version>7</s:version>{LINK}</item></channel></rss>'
    assert xml.parse(source.encode()).items[0].version == "7"
    wrong = source.replace(NS, NS.upper())
    with pytest.raises(FeedFault, match="no sparkle:version"):
        xml.parse(wrong.encode())


def test_version_attributes_win_over_elements():
    item = one(
        "<sparkle:version>1</sparkle:version><sparkle:shortVersionString>a</sparkle:shortVersionString>"
        '<enclosure url="https://e.test/x" sparkle:version="2" sparkle:shortVersionString="b"/>'
    )
    assert (item.version, item.short_version) == ("2", "b")


def test_the_length_that_sparkle_ignores_is_ignored():
    item = one('<sparkle:version>1</sparkle:version><enclosure url="https://e.test/x" sparkle:length="5"/>')
    assert item.enclosure and item.enclosure.length is None
    assert item.enclosure.extra == ((f"{{{NS}}}length", "5"),)


@pytest.mark.parametrize("length", ["", "-1", "1.5", "0x10", "٣", "12 34"])
def test_a_length_that_is_none_is_none(length):
    item = one(f'<sparkle:version>1</sparkle:version><enclosure url="https://e.test/x" length="{length}"/>')
    assert item.enclosure and item.enclosure.length is None


def test_enclosure_addresses_are_resolved_and_spaces_escaped():
    source = feed('<item><sparkle:version>1</sparkle:version><enclosure url="releases/a b.dmg"/></item>')
    (item,) = xml.parse(source, base_url="https://e.test/appcast.xml").items
    assert item.enclosure and item.enclosure.url == "https://e.test/releases/a%20b.dmg"


def test_hardware_requirements_are_split():
    text = "<sparkle:hardwareRequirements>arm64, x</sparkle:hardwareRequirements>"
    assert one("<sparkle:version>1</sparkle:version>" + text + LINK).hardware_requirements == ("arm64", "x")


@pytest.mark.parametrize("date", ["", "yesterday", "2026-11-22", "Sun, 99 Nov 2026 21:04:05 +0000"])
def test_a_bad_date_is_no_date(date):
    assert one(f"<sparkle:version>1</sparkle:version>{LINK}<pubDate>{date}</pubDate>").published is None


def test_what_the_model_does_not_know_survives():
    item = one(
        f"<sparkle:version>1</sparkle:version>{LINK}"
        "<sparkle:criticalUpdate sparkle:version='0.9'/>"
        "<sparkle:deltas>\n  <enclosure url='d' sparkle:deltaFrom='0' length='1'/>\n</sparkle:deltas>"
        "<sparkle:releaseNotesLink>https://e.test/en</sparkle:releaseNotesLink>"
        "<sparkle:releaseNotesLink xml:lang='de'>https://e.test/de</sparkle:releaseNotesLink>"
        "<q:z a='1'>hi <q:b/></q:z>",
        'xmlns:q="urn:q"',
    )
    assert [link.language for link in item.release_notes] == [None, "de"]
    assert item.critical == Critical("0.9")
    assert [delta.from_version for delta in item.deltas] == ["0"]
    assert len(item.extra) == 1
    again = xml.parse(xml.render(Feed("t", items=(item,)))).items[0]
    assert again == item
    root = etree.fromstring(xml.render(Feed("t", items=(item,))))
    names = {"s": NS}
    assert root.xpath("string(//s:criticalUpdate/@s:version)", namespaces=names) == "0.9"
    assert root.xpath("string(//s:deltas/enclosure/@s:deltaFrom)", namespaces=names) == "0"
    assert root.find(".//{urn:q}z/{urn:q}b") is not None


def test_channel_elements_survive_too():
    parsed = xml.parse(feed("<ttl>60</ttl>"))
    assert parsed.extra == ("<ttl>60</ttl>",)
    assert xml.parse(xml.render(parsed)) == parsed


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (LINK, "no sparkle:version"),
        ("<sparkle:version> </sparkle:version>" + LINK, "no sparkle:version"),
        ("<sparkle:version>1</sparkle:version>", "neither an enclosure nor an"),
        ("<sparkle:version>1</sparkle:version><enclosure url='ftp://e.test/x'/>", "not http"),
        ("<sparkle:version>1</sparkle:version><enclosure url='file:///x'/>", "not http"),
    ],
)
def test_one_bad_item_spoils_the_feed(item, says):
    good = f"<item><sparkle:version>2</sparkle:version>{LINK}</item>"
    with pytest.raises(FeedFault, match=says):
        xml.parse(feed(f"{good}<item>{item}</item>"))


BOMB = b"""<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><title>&c;&c;&c;</title></channel></rss>"""


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:1/x.dtd"><rss><channel/></rss>',
        b'<!DOCTYPE rss [<!ENTITY e SYSTEM "file:///etc/hostname">]><rss><channel><title>&e;</title></channel></rss>',
        b"<!DOCTYPE rss><rss><channel/></rss>",
        "<!DOCTYPE rss><rss><channel/></rss>".encode("utf-16"),
        b"",
        b"no xml",
        b"<rss><channel>",
        b"<rss/>",
        b"<feed><channel/></feed>",
        b'<?xml version="1.0" encoding="nonsense"?><rss><channel/></rss>',
        b'<?xml version="1.0" encoding="utf-8"?><rss><channel><title>\xff</title></channel></rss>',
        b"<rss><channel>" + b"<a>" * 400 + b"</a>" * 400 + b"</channel></rss>",
        feed("<item/>")[:-20],
    ],
)
def test_hostile_and_broken_files_are_faults(data):
    with pytest.raises(FeedFault):
        xml.parse(data)


def test_entities_are_never_looked_up(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    kind = f'<!DOCTYPE rss [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    data = f"{kind}<rss><channel><title>&e;</title></channel></rss>"
    with pytest.raises(FeedFault) as caught:
        xml.parse(data.encode())
    assert "top secret" not in str(caught.value)


def test_size_is_bounded():
    data = feed(f"<item><sparkle:version>1</sparkle:version>{LINK}</item>")
    assert xml.parse(data, limit=len(data)).items
    with pytest.raises(FeedFault, match=rf"{len(data)} bytes; more than {len(data) - 1} are not read"):
        xml.parse(data, limit=len(data) - 1)


@pytest.mark.parametrize(
    "piece",
    [
        "<y/>",
        "<description>x</description>",
        "<title a='1'/>",
        "<sparkle:releaseNotesLink>https://e.test</sparkle:releaseNotesLink>",
        "<sparkle:tags><sparkle:criticalUpdate/></sparkle:tags>",
        "<pubDate>never</pubDate>",
    ],
)
def test_feeds_full_of_one_thing_take_no_longer_than_they_are_long(piece):
    def seconds(count: int) -> float:
        data = feed(f"<item>{ITEM}{piece * count}<sparkle:deltas>{delta * count}<z/></sparkle:deltas></item>")
        gc.collect()
        gc.disable()  # it looks at the whole heap, which other tests have filled
        began = time.process_time()
        try:
            xml.parse(data)
            return time.process_time() - began
        finally:
            gc.enable()

    delta = "<enclosure url='a' sparkle:deltaFrom='1'/>"
    assert seconds(8000) < 8 * seconds(2000) + 0.2  # four times the time; sixteen if it were quadratic


def test_other_encodings_are_read():
    text = '<?xml version="1.0" encoding="{}"?><rss><channel><title>Ä</title></channel></rss>'
    for encoding in ["iso-8859-1", "utf-16", "utf-8"]:
        assert xml.parse(text.format(encoding).encode(encoding)).title == "Ä"


def test_characters_that_xml_cannot_hold_are_a_fault():
    with pytest.raises(FeedFault, match="character"):
        xml.render(Feed("a\0b"))


def test_faults_name_the_line():
    with pytest.raises(FeedFault) as caught:
        xml.parse(b"<rss>\n<channel>\n<title>\n</rss>")
    assert caught.value.where == "line 4"
    item = "<item><sparkle:version>1</sparkle:version></item>"
    with pytest.raises(Refused) as refused:
        xml.parse(feed(f"\n\n{item}\n{item}"))
    assert refused.value.where == "line 3"
    assert [trouble.line for trouble in refused.value.troubles] == [3, 4]


def test_attribute_bombs_don_t_go_off():
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    data = f'<!DOCTYPE rss [<!ENTITY e0 "x">{entities}]><rss a="&e9;"><channel/></rss>'
    with pytest.raises(FeedFault):
        xml.parse(data.encode())


def test_a_near_miss_of_the_namespace_is_named():
    source = feed("<item><sparkle:version>1</sparkle:version></item>").replace(b"http:", b"https:")
    with pytest.raises(FeedFault) as caught:
        xml.parse(source)
    assert NS in (caught.value.cure or "")


def test_lenient_reading_keeps_what_sparkle_would_refuse():
    parsed = xml.parse(feed("<item/><item><enclosure url='ftp://e.test/x'/></item>"), strict=False)
    assert [item.version for item in parsed.items] == ["", ""]
    assert all(item.line for item in parsed.items)


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://e.test/App_1.2.zip", "1.2"),
        ("https://e.test/My_App_3.dmg", "3"),
        ("https://e.test/App_1.2.tar.xz", "1.2.tar"),
        ("https://e.test/App_7", "7"),
    ],
)
def test_a_version_in_the_file_name_is_the_last_resort(url, version):
    assert one(f'<enclosure url="{url}"/>').version == version
    assert one(f'<sparkle:version>9</sparkle:version><enclosure url="{url}"/>').version == "9"


def test_a_file_name_without_a_version_gives_none():
    with pytest.raises(FeedFault, match="no sparkle:version"):
        one('<enclosure url="https://e.test/App-1.2.zip"/>')


ITEM = f"<sparkle:version>1</sparkle:version>{LINK}"


@pytest.mark.parametrize(
    ("source", "critical"),
    [
        ("<sparkle:criticalUpdate/>", Critical()),
        ("<sparkle:criticalUpdate sparkle:version='1.2'/>", Critical("1.2")),
        ("<sparkle:criticalUpdate version='1.2'/>", Critical()),
        ("<sparkle:tags><sparkle:criticalUpdate/></sparkle:tags>", Critical()),
        ("<sparkle:tags><sparkle:criticalUpdate/></sparkle:tags>"
         "<sparkle:criticalUpdate sparkle:version='2'/>", Critical("2")),
        ("<sparkle:tags/>", None),
        ("", None),
    ],
)  # fmt: skip
def test_critical_updates(source, critical):
    assert one(ITEM + source).critical == critical


def test_old_tags_become_an_element_and_others_stay():
    item = one(f"{ITEM}<sparkle:tags><sparkle:criticalUpdate/><sparkle:beta/></sparkle:tags>")
    written = xml.render(Feed("t", items=(item,)))
    assert b"<sparkle:criticalUpdate/>" in written and written.count(b"criticalUpdate") == 1
    assert b"<sparkle:beta/>" in written and xml.parse(written).items == (item,)


def test_informational_updates():
    assert one(f"{ITEM}<sparkle:informationalUpdate/>").informational == Informational()
    some = (
        "<sparkle:informationalUpdate><sparkle:version>1.2</sparkle:version>"
        "<sparkle:belowVersion>1.0</sparkle:belowVersion><sparkle:version>1.4</sparkle:version>"
        "</sparkle:informationalUpdate>"
    )
    assert one(ITEM + some).informational == Informational(("1.2", "1.4"), ("1.0",))


def test_deltas():
    source = (
        "<sparkle:deltas><enclosure url='a b.delta' length='7' sparkle:deltaFrom='1.1' "
        "sparkle:deltaFromSparkleExecutableSize='858560' sparkle:deltaFromSparkleLocales='de,,fr' "
        "sparkle:edSignature='c2ln'/><enclosure url='c'/><other/></sparkle:deltas>"
    )
    parsed = xml.parse(feed(f"<item>{ITEM}{source}</item>"), base_url="https://e.test/x/appcast.xml")
    (delta,) = parsed.items[0].deltas
    assert delta == Delta(
        "1.1", Enclosure("https://e.test/x/a%20b.delta", 7, signature="c2ln"), 858560, ("de", "fr")
    )
    assert len(parsed.items[0].extra) == 1
    assert xml.parse(xml.render(parsed)) == parsed


def test_localized_notes():
    source = (
        "<sparkle:releaseNotesLink xml:lang='en' sparkle:edSignature='c2ln' sparkle:length='5'>n/en"
        "</sparkle:releaseNotesLink><sparkle:releaseNotesLink xml:lang='de' q='1'>n/de"
        "</sparkle:releaseNotesLink>"
        "<sparkle:fullReleaseNotesLink>https://e.test/all</sparkle:fullReleaseNotesLink>"
        "<description xml:lang='en'>Hello</description>"
        "<description xml:lang='de' sparkle:format='Markdown'>Hallo</description>"
    )
    parsed = xml.parse(feed(f"<item>{ITEM}{source}</item>"), base_url="https://e.test/appcast.xml")
    (item,) = parsed.items
    assert item.release_notes == (
        NotesLink("https://e.test/n/en", "en", "c2ln", 5),
        NotesLink("https://e.test/n/de", "de", extra=(("q", "1"),)),
    )
    assert item.full_release_notes == (NotesLink("https://e.test/all"),)
    assert (item.description, item.description_language) == ("Hello", "en")
    assert item.translations == (Description("Hallo", "de", "markdown"),)
    assert xml.parse(xml.render(parsed)) == parsed


def test_limits_and_rules_are_read():
    values = {name: f"{n}.0.0" for n, name in enumerate(LIMITS, 1)}
    source = "".join(
        f"<sparkle:{LIMITS[name]}>{value}</sparkle:{LIMITS[name]}>" for name, value in values.items()
    )
    item = one(f"{ITEM}{source}<sparkle:phasedRolloutInterval> 86400 </sparkle:phasedRolloutInterval>")
    assert {name: getattr(item, name) for name in LIMITS} == values
    assert item.phased_rollout_interval == 86400


LIMITS = {
    "minimum_system_version": "minimumSystemVersion",
    "maximum_system_version": "maximumSystemVersion",
    "minimum_update_version": "minimumUpdateVersion",
    "minimum_autoupdate_version": "minimumAutoupdateVersion",
    "ignore_skipped_upgrades_below_version": "ignoreSkippedUpgradesBelowVersion",
}


@pytest.mark.parametrize(("written", "seconds"), [("90", 90), ("12 h", 12), ("soon", 0), ("", 0), ("-1", -1)])
def test_rollout_intervals_are_read_as_sparkle_does(written, seconds):
    text = f"<sparkle:phasedRolloutInterval>{written}</sparkle:phasedRolloutInterval>"
    assert one(ITEM + text).phased_rollout_interval == seconds


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("Sun, 22 Nov 2026 21:04:05 +0000", (22, 21, 4)),
        ("Sun, 22 Nov 2026 21:04:05 GMT", (22, 21, 4)),
        ("Sun, 22 Nov 2026 21:04:05 -0730", (23, 4, 34)),
        ("Sunday, 1 Nov 2026 9:04:05 +0100", (1, 8, 4)),
    ],
)
def test_dates_are_read(written, utc):
    published = one(f"{ITEM}<pubDate>{written}</pubDate>").published
    assert published and (published.day, published.hour, published.minute) == utc


def test_unknown_attributes_survive():
    source = feed(
        "<item q='0'><title a='1'>t</title><sparkle:version q:b='2'>1</sparkle:version><link>https://e.test</link>"
        "<sparkle:criticalUpdate c='3'/><description d='4'>x</description><pubDate e='5'>"
        "Sun, 22 Nov 2026 21:04:05 GMT</pubDate><enclosure url='https://e.test/x' sparkle:os='macos' "
        "sparkle:installationType='package' sparkle:dsaSignature='d' future='6'/></item>",
        'xmlns:q="urn:q" r="7"',
    )
    written = xml.render(xml.parse(source))
    root = etree.fromstring(written)
    found = {str(value) for node in root.iter() for value in node.attrib.values()}
    assert set("01234567") <= found
    (enclosure,) = (item.enclosure for item in xml.parse(written).items)
    assert enclosure and (enclosure.os, enclosure.installation_type) == ("macos", "package")
    assert xml.parse(written) == xml.parse(source)
    assert xml.render(xml.parse(written)) == written


def test_items_that_were_read_are_as_frozen_as_others():
    item = one(ITEM)
    assert type(item) is Item and isinstance(hash(item), int)
    with pytest.raises(FrozenInstanceError):
        item.version = "2"  # type: ignore[misc]


def test_lines_count_in_long_feeds():
    data = feed("\n" * 70_000 + f"<item>{ITEM}</item>")
    assert xml.parse(data).items[0].line == 70_001


@pytest.mark.parametrize("feed_", [Feed("a\0b"), Feed("t", extra=("<a>",)), Feed("t", extra=("text",))])
def test_what_is_no_xml_is_not_written(feed_):
    with pytest.raises(FeedFault):
        xml.render(feed_)


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
some = text.filter(bool)
maybe = st.none() | some
number = st.none() | st.integers(0, 2**40)
version = st.integers(1, 10**6).map(str)
url = st.integers(0, 999).map("https://e.test/{}.dmg".format)
attribute = st.sampled_from(["future", "{urn:q}other", f"{{{NS}}}hardwareRequirements"])
extra = st.dictionaries(attribute, text, max_size=2).map(lambda found: tuple(sorted(found.items())))
enclosures = st.builds(
    Enclosure, url=url, length=number, type=some, signature=maybe, dsa_signature=maybe, os=maybe, extra=extra,
    installation_type=st.sampled_from([None, "application", "package"]),
)  # fmt: skip
links = st.lists(
    st.builds(NotesLink, url=url, language=maybe, signature=maybe, length=number, extra=extra), max_size=2
)
locales = st.lists(st.sampled_from(["de", "fr", "zh_CN"]), max_size=3).map(tuple)
deltas = st.builds(Delta, from_version=some, enclosure=enclosures, executable_size=number, locales=locales)
formats: st.SearchStrategy[NotesFormat] = st.sampled_from(["html", "markdown", "plain-text"])
texts = st.lists(some, max_size=2).map(tuple)
dates = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(
    lambda value: value.replace(microsecond=0, tzinfo=UTC)
)
items = st.builds(
    Item, version=version, short_version=maybe, title=maybe, link=st.none() | url, description=some,
    description_format=formats, description_language=maybe, published=st.none() | dates,
    translations=st.lists(st.builds(Description, some, maybe, formats), max_size=2).map(tuple),
    minimum_system_version=maybe, maximum_system_version=maybe, minimum_update_version=maybe,
    minimum_autoupdate_version=maybe, ignore_skipped_upgrades_below_version=maybe, channel=maybe,
    hardware_requirements=st.lists(st.sampled_from(["arm64", "x"]), max_size=2).map(tuple),
    phased_rollout_interval=number, critical=st.none() | st.builds(Critical, maybe),
    informational=st.none() | st.builds(Informational, texts, texts), enclosure=enclosures,
    release_notes=links.map(tuple), full_release_notes=links.map(tuple),
    deltas=st.lists(deltas, max_size=2).map(tuple), line=st.none(),
    extra=st.lists(st.sampled_from(["<a>1</a>", '<b c="2"></b>']), max_size=2).map(tuple),
    attributes=st.just(()) | st.just((("", "z", "1"),)),
)  # fmt: skip
feeds = st.builds(Feed, title=text, items=st.lists(items, max_size=2).map(tuple))


@settings(deadline=None)
@given(feeds)
def test_render_and_parse_are_inverse(whole):
    assert xml.parse(xml.render(whole)) == whole


CONTAINERS = ["criticalUpdate", "tags", "informationalUpdate", "deltas", "belowVersion"]
SPARKLE_NAMES = [
    f"{{{NS}}}{name}" for name in [*CONTAINERS, "hardwareRequirements", "phasedRolloutInterval", "unknown"]
]
SPARKLE_ATTRIBUTES = [f"{{{NS}}}{name}" for name in ["version", "deltaFrom", "length"]]
PLAIN_NAMES = ["description", "pubDate", "enclosure", "unknown", "{urn:q}q"]
names = st.sampled_from([*ITEM_TEXTS, *NOTES_LINKS, *SPARKLE_NAMES, *PLAIN_NAMES])
attributes = st.dictionaries(
    st.sampled_from(["url", "length", "a", LANGUAGE, *SPARKLE_ATTRIBUTES]),
    st.sampled_from(["", "1", "en", " 2 ", "x_3.zip"]),
    max_size=3,
)
content = st.sampled_from(
    ["", " 1 ", "arm64, x", "https://e.test/a b", "Sun, 22 Nov 2026 21:04:05 GMT", "]]>"]
)
trees: st.SearchStrategy[Any] = st.recursive(
    st.tuples(names, attributes, content, st.just([])),
    lambda inner: st.tuples(names, attributes, content, st.lists(inner, max_size=3)),
    max_leaves=8,
)


def grow(parent: etree._Element, tree: Any) -> None:
    name, values, text_, children = tree
    node = etree.SubElement(parent, name, values)
    node.text = text_
    for child in children:
        grow(node, child)


@settings(deadline=None)
@given(st.lists(trees, max_size=6))
def test_rendering_any_item_is_stable(children):
    rss = etree.Element("rss", nsmap={"s": NS})
    item = etree.SubElement(etree.SubElement(rss, "channel"), "item")
    for child in children:
        grow(item, child)
    once = xml.render(xml.parse(etree.tostring(rss), strict=False))
    assert xml.render(xml.parse(once, strict=False)) == once


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_fault(data):
    with contextlib.suppress(FeedFault):
        xml.parse(data)


@given(st.integers(0, 10**6))
def test_a_cut_off_feed_is_a_fault(at):
    whole = xml.render(Feed("t", items=(FULL, FULL)))
    with pytest.raises(FeedFault, match=r"well-formed") as caught:
        xml.parse(whole[: at % (len(whole) - 2)])
    assert "Traceback" not in str(caught.value)
