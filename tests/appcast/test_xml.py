import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from appcast import xml
from appcast.feed import Enclosure, Feed, FeedFault, Item, NotesLink

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
    assert len(item.extra) == 3
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
        ("<sparkle:version>1</sparkle:version>", "neither enclosure nor link"),
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


def test_size_is_bounded(monkeypatch):
    monkeypatch.setattr(xml, "MAX_BYTES", 100)
    with pytest.raises(FeedFault, match="not read"):
        xml.parse(b" " * 101)


def test_other_encodings_are_read():
    text = '<?xml version="1.0" encoding="{}"?><rss><channel><title>Ä</title></channel></rss>'
    for encoding in ["iso-8859-1", "utf-16", "utf-8"]:
        assert xml.parse(text.format(encoding).encode(encoding)).title == "Ä"


def test_characters_that_xml_cannot_hold_are_a_fault():
    with pytest.raises(FeedFault, match="character"):
        xml.render(Feed("a\0b"))


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip)
maybe = text.map(lambda value: value or None)
enclosures = st.builds(
    Enclosure,
    url=st.integers(0, 999).map("https://e.test/{}.dmg".format),
    length=st.none() | st.integers(0, 2**40),
    signature=maybe,
)
items = st.builds(
    Item,
    version=st.integers(1, 10**6).map(str),
    short_version=maybe,
    title=maybe,
    link=maybe,
    description=maybe,
    description_format=st.sampled_from(["html", "markdown", "plain-text"]),
    published=st.none()
    | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(
        lambda value: value.replace(microsecond=0, tzinfo=UTC)
    ),
    channel=maybe,
    enclosure=enclosures,
).map(lambda item: item if item.description else Item(item.version, enclosure=item.enclosure))


@given(st.builds(Feed, title=text, items=st.lists(items, max_size=3).map(tuple)))
def test_render_and_parse_are_inverse(whole):
    assert xml.parse(xml.render(whole)) == whole


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_fault(data):
    with contextlib.suppress(FeedFault):
        xml.parse(data)
