"""A small release, really signed, imaged, stapled, attested and served; then spoiled in every way."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from commands import Result
from errors import Exit, Fault
from release.objects import FEED_KEY, RELEASES
from release.rehearsal.site import Site, route
from release.verification import Verification
from release.verify import Expected, verify_site
from release.verify_mac import Mac
from signing import eddsa
from signing.identity import throwaway
from signing.staple import staple_image
from tests.standins import shipped, signed
from tests.standins.commands import Recorder
from tests.standins.shipped import KEY, OTHER, SITE, Release
from tests.standins.store import MemoryStore

pytestmark = pytest.mark.xdist_group("verify")

Verify = Callable[..., Verification]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def release(folder) -> Release:
    return shipped.make(folder, "7")


@pytest.fixture(scope="module")
def older(folder) -> Release:
    return shipped.make(folder, "6")


@pytest.fixture
def store(release, older) -> MemoryStore:
    return shipped.publish(MemoryStore(), release, older)


@pytest.fixture
def verify(store, folder, tmp_path) -> Verify:
    trust = signed.identity(folder).certificate_pem

    def run(
        *, bucket: MemoryStore = store, site: type[Site] = Site, mac: Mac | None = None, **options: Any
    ) -> Verification:
        expected = options.pop("expected", Expected(trust=trust, app_name="Tiny"))
        with site(bucket, latest=shipped.LATEST) as running, requests.Session() as session:
            route(session, SITE, running.url)
            return verify_site(
                SITE, session=session, workdir=tmp_path / "work", expected=expected, mac=mac, **options
            )

    return run


def failed(verification: Verification) -> set[str]:
    """Return the names of the rows that are wrong; each must be in the fault."""
    assert not verification.ok
    with pytest.raises(Fault) as caught:
        verification.require()
    assert caught.value.status == Exit.VERIFY
    names = {row.name for row in verification.failed}
    assert all(any(line.startswith(f"{name}: ") for line in caught.value.details) for name in names)
    return names - {row.name for row in verification.rows if row.group == "who is offered what"}


def change(store: MemoryStore, name: str, data: bytes | None = None, **facts: Any) -> None:
    """Change an object's bytes or facts behind everybody's back."""
    key = name if name == FEED_KEY else RELEASES + name
    found, was = store.objects[key]
    data = was if data is None else data
    store.objects[key] = (replace(found, size=len(data), **facts), data)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_good_public_side_passes_every_check(verify, release):
    verification = verify().require()
    assert [row.name for row in verification.rows if not row.ok] == ["Gatekeeper"]
    assert (verification.version, verification.build) == ("1.7", "7")
    details = {row.name: row.detail for row in verification.rows}
    assert hashlib.sha256(release.image.read_bytes()).hexdigest()[:16] in details["image"]
    assert "pinned certificate" in details["app signature"]
    assert details["older images"] == "1 in the feed that nobody is offered, all there"
    assert list(dict.fromkeys(row.group for row in verification.rows)) == [
        "feed",
        "1.7 (7)",
        "who is offered what",
        "notes",
        "download",
        "serving",
        "what was published",
    ]


def test_the_json_is_as_documented(verify):
    found = verify().as_json()
    assert set(found) == {"format", "site", "version", "build", "rows", "at", "ok"}
    assert (found["format"], found["site"], found["ok"]) == (1, SITE, True)
    words = {"name", "ok", "detail", "group", "where", "expected", "found", "cure"}
    assert all(set(row) == words for row in found["rows"])


def test_every_file_is_fetched_once(verify, store, release):
    store.requests.clear()
    verify(keep=True).require()
    opened = [key for method, key in store.requests if method == "open"]
    assert opened.count(f"{RELEASES}{release.name}.cdx.json") == 1
    assert opened.count(f"{RELEASES}{shipped.LATEST}") < 4  # whole, and twice for its headers alone


def test_all_hosts_means_every_image_in_the_feed(verify, older, tmp_path):
    verification = verify(hosts="all", keep=True).require()
    assert "1.6 (6)" in {row.group for row in verification.rows}
    assert (tmp_path / "work" / older.name / "volume/Tiny.app").is_dir()


def test_without_keep_no_app_stays_unpacked(verify, release, tmp_path):
    verify()
    assert not (tmp_path / "work" / release.name / "volume").exists()


def test_what_was_left_out_is_said(verify):
    verification = verify(expected=Expected(ticket=False)).require()
    rows = {row.name: row for row in verification.rows}
    assert rows["ticket"].ok is None and "not checked" in rows["ticket"].detail
    assert "none pinned" in rows["image signature"].detail


@pytest.mark.parametrize("share", [0.001, 0.5, 0.9])
def test_any_changed_byte_of_the_image_is_seen(verify, store, release, share):
    data = release.image.read_bytes()
    change(store, release.name, flipped(data, int(len(data) * share)))
    names = failed(verify())
    assert names >= {"download button", "image signature", "manifest of 7"}
    assert names & {"update signature", "unpacking"}


NAME, OLD = "Tiny-1.7-7.dmg", "Tiny-1.6-6.dmg"
SBOM, LINES = f"{NAME}.cdx.json", f"{NAME}.intoto.jsonl"
GONE: dict[str, Any] = {}

OBJECTS: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("latest is gone", shipped.LATEST, GONE, {"download button"}),
    ("latest has other bytes", shipped.LATEST, {"data": b"other"}, {"download button"}),
    ("latest is not kept", shipped.LATEST, {"cache_control": "no-store"}, {"latest caching"}),
    ("latest is shown, not saved", shipped.LATEST, {"disposition": "inline"}, {"latest name"}),
    ("latest is a page", shipped.LATEST, {"content_type": "text/html"}, {"download button"}),
    ("image is gone", NAME, GONE, {"image", "download button", "objects of 7"}),
    ("image is short", NAME, {"cut": 512}, {"image", "download button", "objects of 7"}),
    ("image is not kept", NAME, {"cache_control": "no-store"}, {"image caching", "objects of 7"}),
    ("image is a page", NAME, {"content_type": "text/html"}, {"image", "download button", "objects of 7"}),
    ("image has no name", NAME, {"disposition": "inline"}, {"image name"}),
    ("feed is kept", FEED_KEY, {"cache_control": "public"}, {"feed caching"}),
    ("feed is text", FEED_KEY, {"content_type": "text/plain"}, {"feed"}),
    ("older image is gone", OLD, GONE, {"older images", "objects of 6"}),
    ("older image is short", OLD, {"cut": 1}, {"older images", "objects of 6"}),
    ("older notes are gone", f"{OLD}.html", GONE, {"objects of 6"}),
    ("notes are gone", f"{NAME}.html", GONE, {"notes (en)", "objects of 7"}),
    ("notes have a changed byte", f"{NAME}.html", {"flip": 20}, {"notes (en)"}),
    ("notes are not kept", f"{NAME}.html", {"cache_control": "no-store"}, {"notes (en)", "objects of 7"}),
    ("changelog is gone", "notes.html", GONE, {"changelog"}),
    ("changelog says nothing", "notes.html", {"data": b"<p> </p>"}, {"changelog"}),
    ("changelog has a script", "notes.html", {"data": b"<p>x</p><script>1</script>"}, {"changelog"}),
    ("changelog has a handler", "notes.html", {"data": b"<p onclick='x()'>x</p>"}, {"changelog"}),
    ("changelog is kept for good", "notes.html", {"cache_control": "immutable"}, {"changelog"}),
    ("materials are gone", SBOM, GONE, {"bill of materials", "objects of 7"}),
    ("materials are tampered with", SBOM, {"swap": (b"0.16.0", b"0.16.1")}, {"provenance"}),
    ("materials are no CycloneDX", SBOM, {"data": b"{}"}, {"valid CycloneDX", "provenance"}),
    ("materials are no JSON", SBOM, {"data": b"["}, {"valid CycloneDX", "provenance"}),
    ("materials go deep", SBOM, {"data": b"[" * 100_000}, {"valid CycloneDX", "provenance"}),
    ("statements are gone", LINES, GONE, {"statements", "objects of 7"}),
    ("statements are none", LINES, {"data": b"{}\n"}, {"statements' signature"}),
    ("statements have a changed byte", LINES, {"flip": 100}, {"statements' signature"}),
    ("manifest is none", "1.7/7.json", {"data": b"{}"}, {"manifest of 7"}),
    ("manifest is not kept", "1.7/7.json", {"cache_control": "no-store"}, {"manifest of 7"}),
    ("the version's manifest is kept", "1.7/manifest.json", {"cache_control": "x"}, {"manifest of 1.7"}),
]


@pytest.mark.parametrize(("name", "how", "rows"), [case[1:] for case in OBJECTS], ids=[c[0] for c in OBJECTS])
def test_what_is_wrong_with_an_object_is_seen(verify, store, name, how, rows):
    spoil(store, name, how)
    assert failed(verify()) >= rows


def spoil(store: MemoryStore, name: str, how: dict[str, Any]) -> None:
    """Take an object away, or change it: `cut` bytes at its end, `flip` one, `swap` some, or any fact."""
    key = name if name == FEED_KEY else RELEASES + name
    data, facts = store.objects[key][1], dict(how)
    if how is GONE:
        del store.objects[key]
        return
    if "cut" in how:
        facts["data"] = data[: -facts.pop("cut")]
    if "flip" in how:
        facts["data"] = flipped(data, facts.pop("flip"))
    if "swap" in how:
        facts["data"] = data.replace(*facts.pop("swap"))
    change(store, name, **facts)


FEEDS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("wrong length", {"enclosure": {"length": 1}}, {"image"}),
    ("no length", {"enclosure": {"length": None}}, {"image"}),
    ("no signature", {"enclosure": {"signature": None}}, {"update signature"}),
    ("another's signature", {"enclosure": {"signature": "A" * 86 + "=="}}, {"update signature"}),
    ("elsewhere", {"enclosure": {"url": "http://127.0.0.1:2/releases/x.dmg"}}, {"image"}),
    ("runs on less than the app", {"minimum_system_version": "12.0.0"}, {"minimum system", "feed lint"}),
    ("runs on anything", {"minimum_system_version": None}, {"minimum system", "feed lint"}),
    ("offered to Intel", {"hardware_requirements": ()}, {"processors", "feed lint"}),
    ("another version", {"short_version": "1.8"}, {"Info.plist"}),
    ("another build", {"version": "8"}, {"Info.plist"}),
    ("notes without a signature", {"release_notes": {"signature": None}}, {"notes (en)", "feed lint"}),
    ("notes of another length", {"release_notes": {"length": 5}}, {"notes (en)"}),
    ("notes elsewhere", {"release_notes": {"url": "http://127.0.0.1:2/x.html"}}, {"notes (en)"}),
]


@pytest.mark.parametrize(("changes", "rows"), [case[1:] for case in FEEDS], ids=[case[0] for case in FEEDS])
def test_what_is_wrong_in_the_feed_is_seen(verify, store, release, older, changes, rows):
    item, given = release.item, dict(changes)
    if "enclosure" in given:
        given["enclosure"] = replace(item.enclosure, **given["enclosure"])
    if "release_notes" in given:
        given["release_notes"] = (replace(item.release_notes[0], **given["release_notes"]),)
    change(store, FEED_KEY, shipped.feed([release, older], **given))
    assert failed(verify()) >= rows


def test_an_offer_that_would_not_run_is_shown_for_the_macs_it_concerns(verify, store, release, older):
    change(store, FEED_KEY, shipped.feed([release, older], minimum_system_version="12.0.0"))
    rows = [row for row in verify().rows if row.group == "who is offered what" and row.ok is False]
    assert rows and all("offered 7, but" in row.detail for row in rows)


@pytest.mark.parametrize("data", [b"", b"<rss/>", b"<html>maintenance</html>"])
def test_a_feed_that_is_none_is_seen(verify, store, data):
    change(store, FEED_KEY, data)
    verification = verify()
    assert failed(verification) == {"feed offers it"}
    assert [row.name for row in verification.rows if row.ok is None] == ["everything else"]


def test_a_feed_that_sparkle_refuses_is_seen(verify, store):
    plain = eddsa.read_feed(store.objects[FEED_KEY][1]).content
    plain = plain.replace(b"<enclosure ", b'<enclosure sparkle:installationType="magic" ')
    change(store, FEED_KEY, eddsa.sign_feed(plain, KEY))
    verification = verify()
    assert failed(verification) == {"feed offers it"}
    assert "magic" in verification.failed[0].detail


def test_an_unsigned_or_otherwise_signed_feed_is_seen(verify, store, release, older):
    good = store.objects[FEED_KEY][1]
    change(store, FEED_KEY, eddsa.read_feed(good).content)
    assert failed(verify()) == {"feed signature", "feed lint"}
    change(store, FEED_KEY, shipped.feed([release, older], key=OTHER))
    assert failed(verify()) == {"feed signature"}
    change(store, FEED_KEY, flipped(good, good.index(b"<title>") + 8))
    assert "feed signature" in failed(verify())


def test_another_release_than_the_one_asked_for_is_seen(verify):
    assert failed(verify(expected=Expected(build="8"))) == {"feed offers it"}
    assert failed(verify(expected=Expected(build="7", version="1.3"))) == {"feed offers it"}
    verification = verify(expected=Expected(build="6"))
    assert failed(verification) == {"feed offers it"}
    assert "offered 7 instead" in {row.name: row.detail for row in verification.rows}["feed offers it"]


def test_a_feed_that_went_back_is_seen(verify, store, older):
    """`latest` has the newer image; the feed offers the older one."""
    change(store, FEED_KEY, shipped.feed([older]))
    assert failed(verify()) == {"download button"}


def test_another_certificate_app_or_team_is_seen(verify, tmp_path):
    stranger = throwaway(tmp_path / "stranger", name="Stranger", team_id="ZZZZZ99999").certificate_pem
    assert failed(verify(expected=Expected(trust=stranger))) >= {"image signature", "app signature"}
    assert failed(verify(expected=Expected(team="ZZZZZ99999"))) >= {"image signature", "app signature"}
    assert "unpacking" in failed(verify(expected=Expected(app_name="Other")))


def test_another_key_than_the_known_one_is_seen(verify):
    other = eddsa.public_key(OTHER)
    assert failed(verify(expected=Expected(key=other))) == {"app's key"}
    names = failed(verify(expected=Expected(signed_by=other)))
    assert names == {"feed signature", "update signature", "statements' signature", "notes (en)"}
    verify(expected=Expected(key=eddsa.public_key(KEY), signed_by=eddsa.public_key(KEY))).require()


def test_statements_on_something_else_are_seen(verify, store, release):
    zeros, document = "0" * 64, shipped.sbom("1.7", "7")
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"image": zeros}, {"provenance", "signed bill of materials"}),
        ({"kind": "tag:other"}, {"provenance"}),
        ({"document": document.replace(b"h11", b"h12")}, {"provenance", "signed bill of materials"}),
    ]
    for changes, rows in cases:
        change(store, LINES, shipped.statements(release, **changes))
        assert failed(verify()) >= rows, changes
    change(store, LINES, shipped.statements(replace(release, key=OTHER)))
    assert "statements' signature" in failed(verify())
    change(store, LINES, release.statements.splitlines(keepends=True)[1])
    assert failed(verify()) >= {"provenance"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"1.4.5"', b'"1.4.4"', "Bun in the app is 1.4.5, not 1.4.4"),
        (b"311.zip/h11", b"311.zip/h12", "h11 0.16.0 is not at"),
        (b"311.zip/h11", b"311.zip/h12", "the module h11 is not listed"),
        (b'"value": "7"', b'"value": "8"', "the app's build is 7, not 8"),
        (b"Contents/Helpers/bun", b"../../../../etc/passwd", "is not at ../../../../etc/passwd"),
    ],
)
def test_materials_that_are_not_those_of_the_app_are_seen(verify, store, release, old, new, said):
    document = release.sbom.replace(old, new)
    assert document != release.sbom
    change(store, SBOM, document)
    change(store, LINES, shipped.statements(release, document=document))
    verification = verify()
    wrong = {row.name: row.detail for row in verification.failed}
    assert said in wrong["materials in the app"]
    assert "provenance" not in wrong


def test_a_release_from_before_there_were_manifests_is_no_fault(verify, store):
    for key in [key for key in store.objects if key.endswith(".json") and not key.endswith(".cdx.json")]:
        del store.objects[key]
    verification = verify().require()
    rows = [row for row in verification.rows if row.group == "what was published"]
    assert {row.ok for row in rows if row.name.startswith("manifest")} == {None}


def test_a_missing_ticket_is_seen_and_a_strangers_is_doubted(verify, release, tmp_path):
    unstapled = release.folder / "unstapled.dmg"
    for ticket in (b"", b"s8ch of another"):
        folder = tmp_path / f"stapled-{len(ticket)}"
        folder.mkdir()
        if ticket:
            staple_image(unstapled, folder / NAME, ticket)
        else:
            (folder / NAME).write_bytes(unstapled.read_bytes())
        home = folder.parent / "identity"
        if not home.exists():
            home.symlink_to(release.folder.parent / "identity")
        made = replace(release, folder=folder)
        made = replace(made, statements=shipped.statements(made))
        verification = verify(bucket=shipped.publish(MemoryStore(), made))
        rows = {row.name: row for row in verification.rows}
        if ticket:
            assert verification.ok and rows["ticket's owner"].ok is None
        else:
            assert failed(verification) == {"ticket"}


@pytest.mark.parametrize(
    ("info", "names"),
    [
        ({"CFBundleVersion": "5"}, {"Info.plist", "materials in the app"}),
        ({"SUFeedURL": "https://old.example/appcast.xml"}, {"Info.plist"}),
        ({"SUPublicEDKey": eddsa.public_key(OTHER)}, {"update signature", "feed signature"}),
        ({"SUPublicEDKey": "c2hvcnQ="}, {"update signature", "feed signature"}),
        ({"LSMinimumSystemVersion": "14.0"}, {"minimum system"}),
    ],
)
def test_an_app_that_disagrees_with_its_feed_is_seen(verify, tmp_path, info, names):
    made = shipped.make(tmp_path / "made", "7", **info)
    bucket = shipped.publish(MemoryStore(), made)
    assert failed(verify(bucket=bucket, expected=Expected())) >= names


def test_a_site_that_is_down_is_a_network_fault(tmp_path):
    with requests.Session() as session, pytest.raises(Fault, match="cannot be reached") as caught:
        verify_site(SITE, session=session, workdir=tmp_path / "work")
    assert caught.value.status == Exit.NETWORK


def test_a_mac_is_asked_with_its_own_tools(verify, tmp_path):
    mac = Recorder()
    verify(mac=Mac(mac)).require()
    image, app = (
        str(tmp_path / "work" / NAME / "image.dmg"),
        str(tmp_path / "work" / NAME / "volume/Tiny.app"),
    )
    gate = ("spctl", "--assess", "--type", "open", "--context", "context:primary-signature", "--verbose")
    assert mac.calls == [
        ("hdiutil", "verify", image),
        ("codesign", "--verify", "--strict", "--verbose=2", image),
        ("codesign", "--verify", "--deep", "--strict", "--verbose=2", app),
        ("xcrun", "stapler", "validate", image),
        (*gate, image),
        ("spctl", "--assess", "--type", "execute", "--verbose", app),
    ]


def test_of_a_rehearsal_apple_is_not_asked(verify):
    mac = Recorder()
    verification = verify(mac=Mac(mac, apple=False))
    assert {argv[0] for argv in mac.calls} == {"hdiutil", "codesign"}
    (row,) = [row for row in verification.rows if row.name == "Gatekeeper"]
    assert row.ok is None and "rehearsal" in row.detail


def test_what_a_mac_says_no_to_is_a_row(verify):
    def reply(argv: tuple[str, ...]) -> Result | None:
        if argv[0] == "spctl":
            return Result(argv, 3, stderr=b"Tiny.dmg: rejected\nsource=no usable signature\n")
        return None

    verification = verify(mac=Mac(Recorder(reply)))
    assert failed(verification) == {"Gatekeeper, image", "Gatekeeper, app"}
    assert verification.failed[-1].detail != ""
