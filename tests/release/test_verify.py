"""A small release, really signed, imaged, stapled, published and served; then spoiled in every way."""

import hashlib
import plistlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import xml
from appcast.feed import Enclosure, Feed, Item, merge
from appcast.lint import AppFacts
from commands import Result
from errors import Exit, Fault
from release.objects import FEED_KEY
from release.publish import Publication, publish
from release.rehearsal.site import Site, route
from release.verification import Verification
from release.verify import verify_public
from signing import eddsa
from signing.identity import throwaway
from signing.plan import plan_app
from signing.staple import staple_image
from signing.verify import verify_image
from tests.signing import machos
from tests.standins import signed
from tests.standins.commands import Recorder
from tests.standins.public import merging
from tests.standins.public import side as public_side
from tests.standins.store import MemoryStore

SITE = "http://127.0.0.1:1"  # where nothing listens: the session is routed
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
NAME = "Tiny-1.2.0-7.dmg"
LATEST = "releases/Tiny-latest.dmg"


@dataclass(frozen=True)
class Release:
    """What a maintainer has made."""

    image: Path
    trust: bytes
    feed: bytes


def make(folder: Path, **info: object) -> Release:
    folder.mkdir(exist_ok=True)
    raw, app = machos.app(folder / "raw" / "Tiny.app"), folder / "signed" / "Tiny.app"
    plist = raw / "Contents/Info.plist"
    values = {
        "CFBundleShortVersionString": "1.2.0",
        "CFBundleVersion": "7",
        "LSMinimumSystemVersion": "13.0",
        "SUFeedURL": f"{SITE}/appcast.xml",
        "SUPublicEDKey": eddsa.public_key(KEY),
        "SURequireSignedFeed": True,
        **info,
    }
    plist.write_bytes(plistlib.dumps({**plistlib.loads(plist.read_bytes()), **values}))
    app.parent.mkdir()
    signed.signer(folder, None).sign_app(plan_app(raw), raw, app)
    unstapled = signed.image(folder, app, None)
    ticket = b"s8ch" + bytes.fromhex(verify_image(unstapled).cdhash)
    staple_image(unstapled, folder / NAME, ticket)
    return Release(folder / NAME, signed.identity(folder).certificate_pem, feed_for(folder / NAME))


def feed_for(image: Path, key: Ed25519PrivateKey = KEY, **changes: object) -> bytes:
    enclosure = Enclosure(
        f"{SITE}/releases/{NAME}", image.stat().st_size, signature=eddsa.sign_file(image, KEY)
    )
    item = Item("7", "1.2.0", minimum_system_version="13.0.0", enclosure=enclosure)
    return signed_feed(replace(item, **changes), key)  # type: ignore[arg-type]


def signed_feed(item: Item, key: Ed25519PrivateKey = KEY) -> bytes:
    return eddsa.sign_feed(xml.render(merge(Feed("Tiny"), item)), key)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Release:
    return make(tmp_path_factory.mktemp("release"))


@pytest.fixture
def store(release) -> MemoryStore:
    return published(release)


def published(release: Release) -> MemoryStore:
    store = MemoryStore()
    item = xml.parse(release.feed).items[0]
    public = eddsa.public_key(KEY)
    facts = AppFacts("7", "13.0", public)
    side = public_side(
        store, site=SITE, latest_name="Tiny-latest.dmg", keys=(public,), signers=lambda: (KEY,)
    )
    publish(side, Publication("1.2.0", "7", release.image, item, facts, merging(item, title="Tiny")))
    return store


@pytest.fixture
def verify(store, release, tmp_path) -> Iterator[Callable[..., Verification]]:
    def run(
        *,
        version: str = "1.2.0",
        build: str = "7",
        trust: bytes | None = release.trust,
        require_ticket: bool = True,
        bucket: MemoryStore = store,
        mac: Recorder | None = None,
    ) -> Verification:
        with Site(bucket, latest="Tiny-latest.dmg") as site, requests.Session() as session:
            route(session, SITE, site.url)
            return verify_public(
                SITE,
                session=session,
                workdir=tmp_path / "work",
                app_name="Tiny",
                version=version,
                build=build,
                trust_pem=trust,
                require_ticket=require_ticket,
                mac=mac,
            )

    yield run


def failed(verification: Verification) -> set[str]:
    assert not verification.ok
    with pytest.raises(Fault) as caught:
        verification.require()
    assert caught.value.status == Exit.VERIFY
    names = {row.name for row in verification.rows if row.ok is False}
    assert all(any(line.startswith(f"{name}: ") for line in caught.value.details) for name in names)
    return names


def change(store: MemoryStore, key: str, data: bytes) -> None:
    store.objects[key] = (replace(store.objects[key][0], size=len(data)), data)


def test_a_good_release_passes_every_check(verify, release):
    verification = verify().require()
    assert [row.name for row in verification.rows if not row.ok] == ["Gatekeeper"]
    assert [row.name for row in verification.rows] == [
        "feed",
        "feed caching",
        "feed offers it",
        "image",
        "download button",
        "ranges",
        "image caching",
        "image checksums",
        "image signature",
        "ticket",
        "ticket's owner",
        "unpacking",
        "app signature",
        "certificate",
        "Info.plist",
        "minimum system",
        "update signature",
        "feed signature",
        "Gatekeeper",
    ]
    details = {row.name: row.detail for row in verification.rows}
    assert hashlib.sha256(release.image.read_bytes()).hexdigest()[:16] in details["image"]
    assert "pinned certificate" in details["app signature"]
    assert verification.as_json()["ok"] is True


def test_what_was_left_out_is_said(verify):
    verification = verify(trust=None, require_ticket=False).require()
    rows = {row.name: row for row in verification.rows}
    assert rows["ticket"].ok is None and "not checked" in rows["ticket"].detail
    assert "none pinned" in rows["image signature"].detail


def test_any_changed_byte_of_the_image_is_seen(verify, store, release):
    data = bytearray(release.image.read_bytes())
    for at in (100, len(data) // 2, len(data) - 5000):
        changed = bytes(data[:at]) + bytes([data[at] ^ 1]) + bytes(data[at + 1 :])
        change(store, f"releases/{NAME}", changed)
        names = failed(verify())
        assert names >= {"download button", "image signature"}
        assert names & {"update signature", "unpacking"}


def test_a_shorter_image_is_seen(verify, store, release):
    change(store, f"releases/{NAME}", release.image.read_bytes()[:-512])
    assert "image" in failed(verify())


def test_a_different_latest_is_seen(verify, store):
    change(store, LATEST, store.objects[LATEST][1] + b"x")
    assert failed(verify()) == {"download button"}
    del store.objects[LATEST]
    assert failed(verify()) == {"download button"}


def test_an_image_that_is_gone_is_seen(verify, store):
    del store.objects[f"releases/{NAME}"]
    verification = verify()
    assert failed(verification) >= {"image", "download button", "ranges"}


def test_a_changed_feed_is_seen(verify, store):
    change(store, FEED_KEY, store.objects[FEED_KEY][1].replace(b"<title>Tiny", b"<title>Tony"))
    assert failed(verify()) == {"feed signature"}


@pytest.mark.parametrize("data", [b"", b"<rss/>", b"<html>maintenance</html>"])
def test_a_feed_that_is_none_is_seen(verify, store, data):
    change(store, FEED_KEY, data)
    verification = verify()
    assert failed(verification) == {"feed offers it"}
    assert [row.name for row in verification.rows if row.ok is None] != []


def test_an_unsigned_feed_is_seen(verify, store, release):
    change(store, FEED_KEY, eddsa.verify_feed(release.feed, eddsa.public_key(KEY)))
    assert failed(verify()) == {"feed signature"}


def test_a_feed_signed_by_another_key_is_seen(verify, store, release):
    change(store, FEED_KEY, feed_for(release.image, OTHER))
    assert failed(verify()) == {"feed signature"}


def test_wrong_facts_in_the_feed_are_seen(verify, store, release):
    size = release.image.stat().st_size
    good = Enclosure(f"{SITE}/releases/{NAME}", size, signature=eddsa.sign_file(release.image, KEY))
    foreign = eddsa.sign_file(release.image, OTHER)
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"enclosure": replace(good, length=size - 1)}, {"image"}),
        ({"enclosure": replace(good, length=None)}, {"image"}),
        ({"enclosure": replace(good, signature=foreign)}, {"update signature"}),
        ({"enclosure": replace(good, signature=None)}, {"update signature"}),
        ({"enclosure": replace(good, url=f"http://127.0.0.1:2/releases/{NAME}")}, {"image"}),
        ({"minimum_system_version": "12.0.0"}, {"minimum system"}),
        ({"minimum_system_version": None}, {"minimum system"}),
        ({"short_version": "1.2.1"}, {"feed offers it"}),
    ]
    for changes, names in cases:
        change(store, FEED_KEY, feed_for(release.image, **changes))
        assert failed(verify()) >= names, changes


def test_another_release_than_the_one_asked_for_is_seen(verify):
    assert failed(verify(build="8")) == {"feed offers it"}
    assert failed(verify(version="1.3.0")) == {"feed offers it"}


def test_a_newer_build_that_hides_this_one_is_seen(verify, store, release):
    feed = xml.parse(store.objects[FEED_KEY][1])
    newer = Item("9", "2.0", link=SITE)
    change(store, FEED_KEY, eddsa.sign_feed(xml.render(replace(feed, items=(newer, *feed.items))), KEY))
    verification = verify()
    assert failed(verification) == {"feed offers it"}
    assert "offered 9 instead" in verification.rows[2].detail


def test_another_certificate_is_seen(verify, tmp_path):
    stranger = throwaway(tmp_path / "stranger", name="Stranger", team_id="ZZZZZ99999")
    assert failed(verify(trust=stranger.certificate_pem)) >= {"image signature", "app signature"}


def test_wrong_headers_are_seen(verify, store):
    for key, names in [
        (FEED_KEY, {"feed caching"}),
        (f"releases/{NAME}", {"image caching"}),
        (LATEST, {"download button"}),
    ]:
        found, data = store.objects[key]
        store.objects[key] = (replace(found, cache_control="no-store"), data)
        assert failed(verify()) == names
        store.objects[key] = (replace(found, content_type="text/html"), data)
        assert failed(verify())
        store.objects[key] = (found, data)


def test_a_missing_ticket_is_seen_and_a_strangers_is_doubted(verify, release, tmp_path):
    for ticket, names in [(b"", {"ticket"}), (b"s8ch of another", set())]:
        folder = tmp_path / f"stapled-{len(ticket)}"
        folder.mkdir()
        unstapled = release.image.parent / "Tiny.dmg"
        image = folder / NAME
        if ticket:
            staple_image(unstapled, image, ticket)
        else:
            shutil.copy(unstapled, image)
        verification = verify(bucket=published(Release(image, release.trust, feed_for(image))))
        rows = {row.name: row for row in verification.rows}
        if names:
            assert failed(verification) == names
        else:
            assert verification.ok and rows["ticket's owner"].ok is None


@pytest.mark.parametrize(
    ("info", "names"),
    [
        ({"CFBundleVersion": "6"}, {"Info.plist"}),
        ({"SUFeedURL": "https://old.example/appcast.xml"}, {"Info.plist"}),
        ({"SUPublicEDKey": eddsa.public_key(OTHER)}, {"update signature", "feed signature"}),
        ({"SUPublicEDKey": "c2hvcnQ="}, {"update signature", "feed signature"}),
        ({"LSMinimumSystemVersion": "14.0"}, {"minimum system"}),
    ],
)
def test_an_app_that_disagrees_with_its_feed_is_seen(verify, tmp_path, info, names):
    made = make(tmp_path / "made", **info)
    assert failed(verify(bucket=published(made), trust=made.trust)) == names


def test_a_site_that_is_down_is_a_network_fault(tmp_path):
    with requests.Session() as session, pytest.raises(Fault, match="cannot be reached") as caught:
        verify_public(
            SITE,
            session=session,
            workdir=tmp_path / "work",
            app_name="Tiny",
            version="1",
            build="1",
            trust_pem=None,
            require_ticket=False,
        )
    assert caught.value.status == Exit.NETWORK


def test_a_mac_is_asked_with_its_own_tools(verify, tmp_path):
    mac = Recorder()
    verify(mac=mac).require()
    image, app = str(tmp_path / "work/image.dmg"), str(tmp_path / "work/volume/Tiny.app")
    gate = ("spctl", "--assess", "--type", "open", "--context", "context:primary-signature", "--verbose")
    assert mac.calls == [
        ("hdiutil", "verify", image),
        ("codesign", "--verify", "--strict", "--verbose=2", image),
        ("xcrun", "stapler", "validate", image),
        (*gate, image),
        ("codesign", "--verify", "--deep", "--strict", "--verbose=2", app),
        ("spctl", "--assess", "--type", "execute", "--verbose", app),
    ]


def test_what_a_mac_says_no_to_is_a_row(verify):
    def reply(argv: tuple[str, ...]) -> Result | None:
        if argv[0] == "spctl":
            return Result(argv, 3, stderr=b"Tiny.dmg: rejected\nsource=no usable signature\n")
        return None

    verification = verify(mac=Recorder(reply))
    assert failed(verification) == {"Gatekeeper, image", "Gatekeeper, app"}
    assert verification.rows[-1].detail == "source=no usable signature"
