from __future__ import annotations

import plistlib
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import xml
from appcast.client import Host, select
from appcast.feed import Critical, Feed, FeedFault, Item
from appcast.history import Identity, identities
from appcast.lint import AppFacts
from errors import Exit, Fault
from release import config as configuration
from release import feed
from release.config import Config
from release.version import Version
from signing import eddsa

ROOT = Path(__file__).resolve().parents[2]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
PUBLIC = eddsa.public_key(KEY)
APP = AppFacts("57", "13.0", PUBLIC, True, ("arm64",))
SIGNED = Identity(PUBLIC, "ab" * 32, "ABCDE12345", "57", "57")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SIGNATURE = eddsa.sign_bytes(b"", KEY)


def conf(**overrides: str) -> Config:
    return configuration.load(
        ROOT, overrides={key.replace("__", "."): value for key, value in overrides.items()}
    )


def item(build: str = "57", app: AppFacts = APP, *, days: float = 0, **overrides: str) -> Item:
    config, now = conf(**overrides), NOW - timedelta(days=days)
    return feed.item_for(
        config, Version("1.2.0", build, 0), replace(app, version=build), image_name=f"App-{build}.dmg",
        signature=SIGNATURE, length=7, notes="<p>New</p>", now=int(now.timestamp()),
    )  # fmt: skip


def test_a_plain_release_reaches_everybody_who_can_run_it() -> None:
    made = item()
    assert (made.version, made.short_version, made.channel) == ("57", "1.2.0", None)
    assert made.minimum_system_version == "13.0.0" and made.hardware_requirements == ("arm64",)
    assert (made.phased_rollout_interval, made.critical, made.minimum_update_version) == (None, None, None)
    assert made.enclosure is not None and made.enclosure.url.endswith("/releases/App-57.dmg")


@pytest.mark.parametrize(
    ("slices", "needs"),
    [(("arm64",), ("arm64",)), (("x86_64",), ()), (("arm64", "x86_64"), ())],
)
def test_hardware_is_what_the_app_was_built_for(slices: tuple[str, ...], needs: tuple[str, ...]) -> None:
    made = item(app=replace(APP, architectures=slices), app__arch="x86_64" if needs else "arm64")
    assert made.hardware_requirements == needs


def test_the_system_is_the_apps_own_not_the_configured_one() -> None:
    made = item(app=replace(APP, minimum_system_version="14"), app__minimum_system='"12.0"')
    assert made.minimum_system_version == "14.0.0"
    with pytest.raises(Fault, match="LSMinimumSystemVersion"):
        item(app=replace(APP, minimum_system_version=""))


def test_how_it_is_offered_comes_from_the_configuration() -> None:
    made = item(
        feed__channel="beta", feed__phased_rollout_interval="86400", feed__critical_below='"50"',
        feed__minimum_update_version='"20"', feed__minimum_autoupdate_version='"40"',
        feed__ignore_skipped_upgrades_below_version='"45"', notes__format="markdown",
    )  # fmt: skip
    assert made.channel == "beta" and made.phased_rollout_interval == 86400
    assert made.critical == Critical("50") and made.minimum_update_version == "20"
    assert made.minimum_autoupdate_version == "40" and made.description_format == "markdown"
    assert made.ignore_skipped_upgrades_below_version == "45"
    assert item(feed__critical="true").critical == Critical()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("feed.channel", '"no good"'),
        ("feed.channel", '"default"'),
        ("feed.maximum_versions", "-1"),
        ("feed.phased_rollout_interval", "1.5"),
        ("feed.critical_below", '"1.0-beta"'),
        ("feed.minimum_update_version", "5"),
        ("feed.ignore_skipped_upgrades_below_version", '"5"'),
        ("feed.chanel", '"beta"'),
        ("notes.format", '"rtf"'),
        ("notes.language", '"English"'),
    ],
)
def test_a_bad_key_is_named(key: str, value: str) -> None:
    with pytest.raises(Fault) as caught:
        configuration.load(ROOT, overrides={key: value})
    assert caught.value.status == Exit.CONFIG and key in str(caught.value)


def test_history_is_kept_within_its_limit_and_signed_for() -> None:
    made: Feed | None = None
    config = conf()
    for build in ("50", "51", "52", "53"):
        signed = replace(SIGNED, first=build, last=build)
        made = feed.feed_with(made, item(build), signed, config, NOW)
        data = eddsa.sign_feed(xml.render(made), KEY)
        made = feed.open_feed(data, config.feed_url, [eddsa.public_key(OTHER), PUBLIC])
    assert made is not None and [one.version for one in made.items] == ["53", "52", "51"]
    assert identities(made) == (replace(SIGNED, first="50", last="53"),)
    with pytest.raises(FeedFault, match="does not rise"):
        feed.feed_with(made, item("49"), SIGNED, config, NOW)


def test_a_feed_of_somebody_else_is_not_built_upon() -> None:
    data = eddsa.sign_feed(xml.render(Feed("t", items=(item(),))), OTHER)
    with pytest.raises(eddsa.FeedSignatureFault, match="another key") as caught:
        feed.open_feed(data, conf().feed_url, [PUBLIC])
    assert "keys.rotate" in (caught.value.cure or "") and PUBLIC in str(caught.value)


def test_a_sound_feed_passes_and_a_harmful_one_is_refused() -> None:
    config = conf()
    made = feed.feed_with(None, item(), SIGNED, config, NOW)
    data = eddsa.sign_feed(xml.render(made), KEY)
    feed.require_sound(data, config.feed_url, APP, None)
    for wrong, app in (
        (eddsa.sign_feed(xml.render(made), OTHER), APP),
        (xml.render(made), APP),
        (data, replace(APP, minimum_system_version="15.0")),
        (data.replace(b"<sparkle:version>57<", b"<sparkle:version>5-7<"), APP),
    ):
        with pytest.raises(FeedFault, match="would do harm") as caught:
            feed.require_sound(wrong, config.feed_url, app, None)
        assert caught.value.status == Exit.APPCAST and caught.value.details


def test_plain_http_is_for_loopback_only() -> None:
    config = conf()
    written = xml.render(feed.feed_with(None, item(), SIGNED, config, NOW))
    elsewhere = eddsa.sign_feed(written.replace(b"127.0.0.1:8788", b"example.test"), KEY)
    with pytest.raises(FeedFault, match="plain http"):
        feed.require_sound(elsewhere, config.feed_url, APP, None)


def test_nobody_loses_an_update_unnoticed() -> None:
    before = feed.feed_with(None, item(days=9), SIGNED, conf(), NOW)
    better = feed.feed_with(before, item("58"), SIGNED, conf(), NOW)
    feed.require_no_regression(before, better, NOW)
    feed.require_no_regression(None, before, NOW)
    assert select(better, Host("1", "13.0"), NOW).item is not None
    with pytest.raises(FeedFault, match="takes an update away") as caught:
        feed.require_no_regression(better, before, NOW)
    assert "58 is offered now, 57 would be" in str(caught.value)
    assert "--allow-regression" in (caught.value.cure or "")
    with pytest.raises(FeedFault, match="takes an update away") as caught:
        feed.require_no_regression(before, replace(before, items=()), NOW)
    assert "nothing would be" in str(caught.value)


def test_pages_are_linked_with_language_and_signature() -> None:
    notes: dict[str, Any] = {"kind": "notes", "signature": SIGNATURE, "length": 3}
    pages: list[dict[str, Any]] = [
        {"name": "notes-1-57.en.html", "language": "en", **notes},
        {"name": "notes-1-57.de.html", "language": "de", **notes},
        {"name": "notes.html", "kind": "full", "language": "en"},
    ]
    found = feed.links(conf(), pages)
    assert [(link.language, link.length) for link in found.notes] == [("en", 3), ("de", 3)]
    assert [(link.url.rpartition("/")[2], link.language) for link in found.full] == [("notes.html", None)]
    assert feed.links(conf(), []) == feed.Links()


def test_an_app_says_what_it_is(tmp_path: Path) -> None:
    contents = tmp_path / "A.app" / "Contents"
    (contents / "MacOS").mkdir(parents=True)
    info = {"CFBundleExecutable": "A", "CFBundleVersion": "57", "LSMinimumSystemVersion": "13.0"}
    (contents / "Info.plist").write_bytes(plistlib.dumps({**info, "SUPublicEDKey": PUBLIC}))
    (contents / "MacOS" / "A").write_bytes(struct.pack("<8I", 0xFEEDFACF, 0x0100_000C, 0, 2, 0, 0, 0, 0))
    facts = feed.app_facts(tmp_path / "A.app")
    assert facts == AppFacts("57", "13.0", PUBLIC, False, ("arm64",))
