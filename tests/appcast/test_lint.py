"""Every rule once where it must speak and once, as near as can be, where it must not."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appcast import xml
from appcast.feed import FeedFault
from appcast.lint import AppFacts, Finding, finding, lint, worst
from appcast.lint_items import date
from appcast.lint_rules import DOWNLOAD_RULES, RULES
from signing import eddsa

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
BASE = "https://example.test/appcast.xml"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NS = "http://www.andymatuschak.org/xml-namespaces/sparkle"
SIGNATURE = base64.b64encode(bytes(64)).decode()
APP = AppFacts("2", "13.0", eddsa.public_key(KEY), requires_signed_feed=True, architectures=("arm64",))

ENCLOSURE = (
    '<enclosure url="https://example.test/a-2.dmg" length="10" type="application/x-apple-diskimage" '
    f'sparkle:edSignature="{SIGNATURE}"/>'
)
DELTA = ENCLOSURE.replace("a-2.dmg", "a-1-2.delta").replace("<enclosure", '<enclosure sparkle:deltaFrom="1"')
OLD_ENCLOSURE = ENCLOSURE.replace("a-2", "a-1")
PARTS = {
    "title": "<title>A 2</title>",
    "link": "<link>https://example.test/</link>",
    "version": "<sparkle:version>2</sparkle:version>",
    "short": "<sparkle:shortVersionString>1.1</sparkle:shortVersionString>",
    "minimum": "<sparkle:minimumSystemVersion>13.0.0</sparkle:minimumSystemVersion>",
    "hardware": "<sparkle:hardwareRequirements>arm64</sparkle:hardwareRequirements>",
    "date": "<pubDate>Sun, 31 May 2026 12:00:00 +0000</pubDate>",
    "description": "<description>Better.</description>",
    "enclosure": ENCLOSURE,
    "more": "",
}
OLD = {
    **PARTS,
    "version": "<sparkle:version>1</sparkle:version>",
    "date": "<pubDate>Sat, 30 May 2026 12:00:00 +0000</pubDate>",
    "enclosure": OLD_ENCLOSURE,
}


def item(**parts: str) -> str:
    return "<item>\n" + "\n".join(part for part in {**PARTS, **parts}.values() if part) + "\n</item>"


def old(**parts: str) -> str:
    return item(**{**OLD, **parts})


def feed(*items: str, namespace: str = NS) -> bytes:
    head = f'<rss version="2.0" xmlns:sparkle="{namespace}">\n<channel>\n<title>A</title>\n'
    return (head + "\n".join(items) + "\n</channel>\n</rss>\n").encode()


def s(name: str, text: str) -> str:
    return f"<sparkle:{name}>{text}</sparkle:{name}>"


def enclosure(old: str, new: str) -> str:
    assert old in ENCLOSURE
    return item(enclosure=ENCLOSURE.replace(old, new))


def deltas(*inside: str) -> str:
    return item(more=f"<sparkle:deltas>{''.join(inside)}</sparkle:deltas>")


def notes(url: str, attributes: str = "") -> str:
    return item(more=f"<sparkle:releaseNotesLink{attributes}>{url}</sparkle:releaseNotesLink>")


def ids(data: bytes, **options: object) -> set[str]:
    return {each.id for each in lint(data, base_url=BASE, now=NOW, **options)}  # type: ignore[arg-type]


NOTES = "https://example.test/n.html"
SIGNED = f' sparkle:edSignature="{SIGNATURE}" sparkle:length="3"'
GOOD = item()
ITEMS: dict[str, tuple[str, str]] = {
    "unqualified": (
        item(minimum="<minimumSystemVersion>13.0.0</minimumSystemVersion>"),
        item(more="<guid>urn:2</guid>"),
    ),
    "typo": (item(more=s("chanel", "beta")), item(more=s("channel", "beta"))),
    "unknown": (item(more=s("weather", "fair")), item(more='<w:weather xmlns:w="urn:w">fair</w:weather>')),
    "repeated": (
        item(more=s("version", "2")),
        item(more='<description xml:lang="de">Besser.</description>'),
    ),
    "signature-missing": (enclosure(f'sparkle:edSignature="{SIGNATURE}"', ""), GOOD),
    "signature-malformed": (enclosure(SIGNATURE, SIGNATURE[:-4]), GOOD),
    "signature-dsa": (enclosure("length=", 'sparkle:dsaSignature="MC0=" length='), GOOD),
    "no-version": (item(version=""), GOOD),
    "version-from-file": (
        item(version="", enclosure=ENCLOSURE.replace("a-2.dmg", "a_2.dmg")),
        enclosure("a-2.dmg", "a_2.dmg"),
    ),
    "version-conflict": (
        enclosure("length=", 'sparkle:version="3" length='),
        enclosure("length=", 'sparkle:version="2" length='),
    ),
    "version-unsafe": (item(version=s("version", "2.0-beta")), item(version=s("version", "2.0.1.4"))),
    "short-version": (item(short=""), enclosure("length=", 'sparkle:shortVersionString="1" length=')),
    "date-missing": (item(date=""), GOOD),
    "date-bad": (
        item(date="<pubDate>2026-05-31T12:00:00Z</pubDate>"),
        item(date="<pubDate>Sun, 31 May 2026 12:00:00 GMT</pubDate>"),
    ),
    "date-future": (item(date="<pubDate>Mon, 01 Jun 2026 00:00:01 +0000</pubDate>"), GOOD),
    "phased-undated": (
        item(date="", more=s("phasedRolloutInterval", "86400")),
        item(more=s("phasedRolloutInterval", "86400")),
    ),
    "phased-interval": (
        item(more=s("phasedRolloutInterval", "1 day")),
        item(more=s("phasedRolloutInterval", "3600")),
    ),
    "nothing-to-offer": (item(enclosure="", link="<link>ftp://example.test</link>"), item(enclosure="")),
    "enclosure-url": (enclosure("https://example.test/", "file:///"), enclosure("https://", "HTTPS://")),
    "insecure-url": (
        enclosure("https://", "http://"),
        enclosure("https://example.test", "http://127.0.0.1:1"),
    ),
    "insecure-link": (item(link="<link>http://example.test</link>"), GOOD),
    "relative-url": (enclosure("https://example.test/", ""), GOOD),
    "length-missing": (enclosure('length="10"', 'length="0"'), enclosure('length="10"', 'length="1"')),
    "length-qualified": (enclosure("length=", "sparkle:length="), notes(NOTES, SIGNED)),
    "type": (enclosure("application/x-apple-diskimage", "text/html"), enclosure("x-apple-diskimage", "zip")),
    "archive-format": (enclosure(".dmg", ".rar"), enclosure(".dmg", ".tar.xz")),
    "os": (
        enclosure("length=", 'sparkle:os="windows" length='),
        enclosure("length=", 'sparkle:os="macos" length='),
    ),
    "installation-type": (
        enclosure("length=", 'sparkle:installationType="interactive-package" length='),
        enclosure("length=", 'sparkle:installationType="package" length='),
    ),
    "system-missing": (item(minimum=""), GOOD),
    "system-parts": (item(minimum=s("minimumSystemVersion", "13.0")), GOOD),
    "system-malformed": (item(minimum=s("minimumSystemVersion", "Ventura")), GOOD),
    "system-range": (
        item(more=s("maximumSystemVersion", "12.9.9")),
        item(more=s("maximumSystemVersion", "13.0.0")),
    ),
    "hardware-attribute": (enclosure("length=", 'sparkle:hardwareRequirements="arm64" length='), GOOD),
    "attribute-ignored": (enclosure("length=", 'sparkle:minimumSystemVersion="13.0.0" length='), GOOD),
    "hardware-unknown": (
        item(hardware=s("hardwareRequirements", "x86_64")),
        item(hardware=s("hardwareRequirements", "ARM64")),
    ),
    "channel-invalid": (item(more=s("channel", "beta channel")), item(more=s("channel", "beta-2.x_y"))),
    "limit-unsafe": (
        item(more=s("minimumAutoupdateVersion", "2.0b1")),
        item(more=s("minimumAutoupdateVersion", "2.0")),
    ),
    "update-range": (item(more=s("minimumUpdateVersion", "2")), item(more=s("minimumUpdateVersion", "1.9"))),
    "critical-legacy": (
        item(more="<sparkle:tags><sparkle:criticalUpdate/></sparkle:tags>"),
        item(more="<sparkle:criticalUpdate/>"),
    ),
    "prefix": (
        item(more=f'<s:informationalUpdate xmlns:s="{NS}"><s:version>1</s:version></s:informationalUpdate>'),
        item(
            more="<sparkle:informationalUpdate><sparkle:version>1</sparkle:version></sparkle:informationalUpdate>"
        ),
    ),
    "informational-link": (
        item(link="", more="<sparkle:informationalUpdate/>"),
        item(more="<sparkle:informationalUpdate/>"),
    ),
    "notes-missing": (item(description=""), item(description="", more=s("releaseNotesLink", NOTES))),
    "notes-format": (
        item(description='<description sparkle:format="rtf">x</description>'),
        item(description='<description sparkle:format="markdown">x</description>'),
    ),
    "notes-url": (notes("file:///n.html"), notes(NOTES)),
    "notes-languages": (
        item(more=s("releaseNotesLink", NOTES) * 2),
        item(
            more=s("releaseNotesLink", NOTES)
            + f'<sparkle:releaseNotesLink xml:lang="de">{NOTES}</sparkle:releaseNotesLink>'
        ),
    ),
    "notes-length": (notes(NOTES, f' sparkle:edSignature="{SIGNATURE}" length="3"'), notes(NOTES, SIGNED)),
    "delta-from": (deltas(ENCLOSURE), deltas(DELTA)),
    "delta-not-older": (deltas(DELTA.replace('"1"', '"2.0"')), deltas(DELTA)),
    "delta-duplicate": (
        deltas(DELTA, DELTA),
        deltas(DELTA, DELTA.replace('deltaFrom="1"', 'deltaFrom="0.9"')),
    ),
    "delta-top-level": (item(enclosure=DELTA), deltas(DELTA)),
}
DOCUMENTS: dict[str, tuple[bytes, bytes]] = {
    "not-xml": (feed(GOOD)[:-9], feed(GOOD)),
    "doctype": (b"<!DOCTYPE rss [<!ENTITY a 'b'>]>" + feed(GOOD), feed(GOOD)),
    "not-rss": (feed(GOOD).replace(b"channel>", b"canal>"), feed(GOOD)),
    "item-misplaced": (
        feed(GOOD).replace(b"</channel>", b"</channel><item/>"),
        feed(GOOD, item(more="<!-- <item/> -->")),
    ),
    "no-items": (feed(), feed(GOOD)),
    "namespace": (feed(GOOD, namespace=NS.replace("http:", "https:")), feed(GOOD)),
    "version-duplicate": (
        feed(GOOD, old(version=s("version", "2.0"))),
        feed(GOOD, old(version=s("version", "2.0"), hardware="")),
    ),
    "version-falls": (
        feed(item(version=s("version", "1.9")), old(version=s("version", "1.10"))),
        feed(item(version=s("version", "1.9")), old(version=s("version", "1.10"), more=s("channel", "beta"))),
    ),
    "order": (feed(old(), GOOD), feed(GOOD, old())),
    "url-shared": (feed(GOOD, old(enclosure=ENCLOSURE)), feed(GOOD, old())),
    "delta-unknown": (feed(deltas(DELTA)), feed(deltas(DELTA), old())),
}
SIGNED_FEED = eddsa.sign_feed(feed(GOOD), KEY)
WITH_APP: dict[str, tuple[bytes, bytes]] = {
    "feed-unsigned": (feed(GOOD), SIGNED_FEED),
    "feed-signature": (SIGNED_FEED.replace(b"Better", b"better"), SIGNED_FEED),
    "notes-unsigned": (
        eddsa.sign_feed(feed(notes(NOTES)), KEY),
        eddsa.sign_feed(feed(notes(NOTES, SIGNED)), KEY),
    ),
    "system-app": (feed(item(minimum=s("minimumSystemVersion", "12.0.0"))), SIGNED_FEED),
    "hardware-app": (feed(item(hardware="")), feed(GOOD)),
    "newer-than-app": (feed(item(version=s("version", "3")), GOOD), feed(GOOD, old())),
}
PUBLISHED: dict[str, tuple[bytes, bytes]] = {
    "published-changed": (feed(enclosure('"10"', '"11"'), old()), feed(GOOD, old())),
    "published-falls": (feed(old()), feed(item(version=s("version", "2.1")), old())),
    "published-dropped": (feed(item(version=s("version", "3"))), feed(GOOD, old())),
}


def test_a_good_feed_has_nothing_to_be_found():
    assert lint(feed(GOOD, old()), base_url=BASE, now=NOW) == []
    assert lint(SIGNED_FEED, base_url=BASE, now=NOW, app=APP, published=xml.parse(SIGNED_FEED)) == []


@pytest.mark.parametrize("rule", ITEMS)
def test_an_items_rule_speaks_and_is_silent(rule):
    bad, good = ITEMS[rule]
    assert rule in ids(feed(bad))
    assert rule not in ids(feed(good))


@pytest.mark.parametrize("rule", DOCUMENTS)
def test_a_feeds_rule_speaks_and_is_silent(rule):
    bad, good = DOCUMENTS[rule]
    assert rule in ids(bad)
    assert rule not in ids(good)


@pytest.mark.parametrize("rule", WITH_APP)
def test_a_rule_about_the_app_speaks_and_is_silent(rule):
    bad, good = WITH_APP[rule]
    assert rule in ids(bad, app=APP)
    assert rule not in ids(good, app=APP)


@pytest.mark.parametrize("rule", PUBLISHED)
def test_a_rule_about_what_is_public_speaks_and_is_silent(rule):
    bad, good = PUBLISHED[rule]
    published = xml.parse(feed(GOOD, old()))
    assert rule in ids(bad, published=published)
    assert rule not in ids(good, published=published)


def test_a_feed_too_big_to_read_is_not_read(monkeypatch):
    monkeypatch.setattr("appcast.lint.MAX_BYTES", len(feed(GOOD)))
    assert "too-big" not in ids(feed(GOOD))
    assert ids(feed(GOOD) + b" ") == {"too-big"}


def test_every_rule_is_tested():
    tested = {*ITEMS, *DOCUMENTS, *WITH_APP, *PUBLISHED, "too-big"}
    assert tested == set(RULES)


# what a finding says


def test_a_finding_says_line_item_and_cure():
    data = feed(GOOD, old(more=s("hardwareRequirments", "arm64")))
    (found,) = lint(data, base_url=BASE, now=NOW)
    assert data.splitlines()[(found.line or 0) - 1].startswith(b"<sparkle:hardwareRequirments>")
    assert (found.id, found.severity, found.item) == ("typo", "error", "1")
    assert "did you mean sparkle:hardwareRequirements?" in found.what and found.cure


def test_one_bad_item_does_not_hide_the_next():
    found = lint(feed(item(version=""), old(minimum="")), base_url=BASE, now=NOW)
    assert [each.id for each in found] == ["no-version", "system-missing"]


@pytest.mark.parametrize("version", ["1.0-beta", "1.0-beta.2"])
def test_versions_that_are_one_to_sparkle_are_duplicates(version):
    data = feed(item(version=s("version", version)), old(version=s("version", "1.0")))
    assert {"version-duplicate", "version-unsafe"} <= ids(data)


@pytest.mark.parametrize(
    "uri",
    [
        NS.replace("http:", "https:"),
        NS + "/",
        NS.replace("andymatuschak", "AndyMatuschak"),
        "http://sparkle-project.org/ns",
    ],
)
def test_a_namespace_is_right_to_the_letter_or_wrong(uri):
    assert "namespace" in ids(feed(GOOD, namespace=uri))


@pytest.mark.parametrize("uri", ["http://purl.org/dc/elements/1.1/", "http://www.w3.org/2005/Atom"])
def test_other_peoples_namespaces_are_theirs(uri):
    assert ids(feed(item(more=f'<o:creator xmlns:o="{uri}">A</o:creator>'))) == set()


def test_any_prefix_will_do():
    data = feed(GOOD).replace(b"sparkle:", b"sp:").replace(b"xmlns:sp", b"xmlns:sp")
    assert ids(data.replace(b"xmlns:sparkle", b"xmlns:sp")) == set()


def test_a_signature_of_another_key_does_not_hold():
    signed = eddsa.sign_feed(feed(GOOD), OTHER)
    assert "feed-signature" in ids(signed, app=APP)
    assert "feed-signature" not in ids(signed)  # nobody knows the key


@pytest.mark.parametrize(
    "change", [lambda d: d + b"\n<!-- -->", lambda d: d.replace(b"Better", b"Much better")]
)
def test_a_feed_touched_after_signing_is_noticed_without_a_key(change):
    assert "feed-signature" in ids(change(SIGNED_FEED))
    assert "feed-signature" not in ids(SIGNED_FEED)


def test_deltas_are_archives_like_others():
    bare = DELTA.replace(f' sparkle:edSignature="{SIGNATURE}"', "").replace("https:", "http:")
    assert {"signature-missing", "insecure-url"} <= ids(feed(deltas(bare), old()))


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"<rss", b"\xff\xfe<", b"<a/>", b"<?xml version='1.0' encoding='x'?><rss/>"]
)
def test_rubbish_is_a_finding(data):
    assert worst(lint(data)) == "error"


@given(st.binary(max_size=300))
def test_no_bytes_raise(junk):
    data = feed(GOOD)
    for spoiled in (junk, data[: len(junk)] + junk, data[:200] + junk + data[200:]):
        assert all(isinstance(each, Finding) for each in lint(spoiled))


BOMB = b"<!DOCTYPE rss [<!ENTITY a 'aaaaaaaaaa'>" + b"".join(
    b"<!ENTITY %c '%s'>" % (98 + at, b"&%c;" % (97 + at) * 10) for at in range(9)
) + b"]><rss><channel><title>&j;</title></channel></rss>"  # fmt: skip
THIEF = b"<!DOCTYPE rss [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><rss><channel><title>&a;</title></channel></rss>"


@pytest.mark.parametrize("data", [BOMB, THIEF, b"<rss>" * 100_000], ids=["bomb", "file", "deep"])
def test_attacks_are_refused(data):
    assert {each.id for each in lint(data)} <= {"doctype", "not-xml"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 31 May 2026 12:00:00 +0000", datetime(2026, 5, 31, 12, tzinfo=UTC)),
        ("Sun, 31 May 2026 12:00:00 -0230", datetime(2026, 5, 31, 14, 30, tzinfo=UTC)),
        ("Sun, 31 May 2026 12:00:00 GMT", datetime(2026, 5, 31, 12, tzinfo=UTC)),
        ("31 May 2026 12:00:00 +0000", None),
        ("Sun, 31 Mai 2026 12:00:00 +0000", None),
        ("Sun, 31 Feb 2026 12:00:00 +0000", None),
        ("Sun, 31 May 2026 12:00:00 +9900", None),
        ("Sun, 31 May 2026 12:00 +0000", None),
        ("", None),
    ],
)
def test_dates_are_read_as_sparkle_does(text, expected):
    assert date(text) == expected


# the documentation


def test_the_docs_list_every_rule_as_it_is():
    text = (ROOT / "docs/appcast.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|note) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    expected = [
        (rule.id, rule.severity, escaped(rule.what), escaped(rule.cure))
        for rule in (*RULES.values(), *DOWNLOAD_RULES.values())
    ]
    assert rows == expected


def escaped(text: str) -> str:
    return re.sub(r"(<[^>]+>|\S*=\"[^\"]*\")", r"`\1`", text).replace("|", "\\|")


def test_findings_of_all_rules_can_be_made():
    for rule in (*RULES, *DOWNLOAD_RULES):
        assert finding(rule, 1, "x").what.endswith(": x")


# what others make of the same feed

SPOILT = {
    "https:": "ftp:",
    "<sparkle:version>2</sparkle:version>": "",
    "<link>https://example.test/</link>": "",
    ENCLOSURE: "",
    'url="https://example.test/a-2.dmg"': "",
    'length="10"': 'length="ten" sparkle:installationType="zip"',
    "<item>": "<item/><item>",
    "a-2.dmg": "a_2.dmg",
    "pubDate": "pubdate",
}


@given(st.lists(st.sampled_from(sorted(SPOILT)), max_size=3, unique=True))
def test_a_feed_that_sparkle_refuses_is_never_free_of_errors(changes):
    text = feed(GOOD, old()).decode()
    for change in changes:
        text = text.replace(change, SPOILT[change], 1)
    try:
        xml.parse(text.encode(), base_url=BASE)
    except FeedFault:
        assert worst(lint(text.encode(), base_url=BASE)) == "error"


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from(["+0000", "-0730", "+05:30", "GMT", "EST", ""]),
    st.sampled_from(
        ["%a, %d %b %Y %H:%M:%S", "%d %b %Y %H:%M:%S", "%A, %d %b %Y %H:%M:%S", "%a, %d %b %y %H:%M"]
    ),
)
def test_lint_and_parser_read_the_same_dates(moment, zone, form):
    text = f"{moment.strftime(form)} {zone}"
    data = feed(item(date=f"<pubDate>{text}</pubDate>"))
    assert xml.parse(data).items[0].published == date(text)
