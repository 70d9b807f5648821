"""The doctor on a production whose every part is there, and with one thing wrong at a time."""

from __future__ import annotations

import base64
import io
import json
import plistlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from appcast import history as memory
from appcast.feed import Feed
from appcast.history import Identity
from errors import Exit
from release.doctor import Diagnosis, checks, report
from release.doctor.bucket import SCRATCH
from release.objects import FEED_KEY
from release.publish import publish
from signing import eddsa
from tests.release.doctor.world import NOW, World, digest_of, finding
from tests.standins import authority, cloudflare
from tests.standins.clock import FakeClock
from tests.standins.public import KEY, PUBLIC, publication, side

pytestmark = pytest.mark.xdist_group("doctor")

Diagnose = Callable[..., Diagnosis]
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def wrong(found: Diagnosis, name: str, said: str, cure: str, status: Exit) -> None:
    """Assert that this, and nothing else, is wrong, and what is to be done about it."""
    one = finding(found, name)
    assert one.ok is False, one
    assert said in one.detail and cure in one.cure and one.status == status, one
    assert [each.name for each in found.failed] == [name], found.failed
    assert found.status == status


def warned(found: Diagnosis, name: str, said: str, cure: str) -> None:
    one = finding(found, name)
    assert one.warns and said in one.detail and cure in one.cure, one
    assert not found.failed


def test_all_is_well(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    world.publish(tmp_path)
    found = diagnose()
    assert not found.failed, found.failed
    assert not [one for one in found.findings if one.warns]
    assert {one.name for one in found.skipped} == {"Bun", "keychain", "Info.plist"}
    assert finding(found, "notary").detail == "known there; nothing was submitted yet"
    assert finding(found, "installed apps").detail == "build 1 trusts the same key; a new certificate"
    assert finding(found, "Cloudflare's zone").detail == "example.test, active"
    assert finding(found, "feed").detail.startswith("signed, 1 item(s), newest 1")
    assert not list(world.bucket.store().list(SCRATCH))


def test_no_secret_is_shown(world: World, diagnose: Diagnose) -> None:
    world.environ["R2_SECRET_ACCESS_KEY"] = "an access key that is wrong"
    world.environ["CLOUDFLARE_API_TOKEN"] = "a token that nobody knows"
    found, out = diagnose(), io.StringIO()
    report.show(found, Console(file=out, width=200))
    said = out.getvalue() + json.dumps(found.as_json())
    public = {"MACOS_CODE_SIGN_IDENTITY", "APPLE_TEAM_ID", "SPARKLE_PUBLIC_ED_KEY"}
    for name, value in world.environ.items():
        assert name in public or not any(line in said for line in value.splitlines() if len(line) > 5), name


def test_a_missing_secret_leaves_out_what_wants_it_and_no_more(
    world: World, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world.environ["R2_ACCESS_KEY_ID"]
    monkeypatch.delenv("R2_ACCESS_KEY_ID", raising=False)
    found = diagnose()
    wrong(found, "R2_ACCESS_KEY_ID", "missing: writes the bucket", "R2 → Manage API tokens", Exit.SECRET)
    assert finding(found, "bucket").ok is None
    assert finding(found, "bucket").detail == "publish.access_key is missing"
    assert finding(found, "notary").ok is True


def test_a_secret_that_others_may_read(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(world.environ["SPARKLE_PRIVATE_KEY"])
    path.chmod(0o644)
    world.overrides["profiles.production.sparkle.private_key"] = f"file:{path}"
    found = diagnose()
    assert found.status == Exit.SECRET
    assert f"chmod 600 {path}" in finding(found, f"file:{path}").cure


# source


def test_a_dirty_tree(world: World, diagnose: Diagnose) -> None:
    path = world.checkout.write("app/b.py", "1\n")
    found = diagnose()
    path.unlink()
    wrong(found, "commit", "1 uncommitted change(s); ?? app/b.py", "commit or remove them", Exit.GIT)


def test_no_tag_on_head(world: World, diagnose: Diagnose) -> None:
    world.checkout.git("tag", "-d", "v1.2.0")
    found = diagnose()
    world.checkout.git("tag", "v1.2.0")
    wrong(found, "tag", "HEAD carries no version tag", "./invoke tag", Exit.GIT)


def test_a_tag_without_its_section(world: World, diagnose: Diagnose) -> None:
    head = world.checkout.git("rev-parse", "HEAD")
    world.checkout.write("CHANGELOG.md", "# Changelog\n\n## [1.2.0]\n\n- x\n")
    world.checkout.commit()
    world.checkout.git("tag", "-f", "v1.2.0")
    found = diagnose()
    world.checkout.git("reset", "-q", "--hard", head)
    world.checkout.git("tag", "-f", "v1.2.0")
    wrong(found, "changelog", "no date for 1.2.0", "./invoke bump", Exit.VERSION)


# the certificate


def certified(world: World, issued: authority.Issued) -> None:
    world.environ["MACOS_DEVELOPER_ID_CERTIFICATE_BASE64"] = base64.b64encode(issued.p12()).decode()


def test_a_certificate_that_ends_soon(world: World, diagnose: Diagnose) -> None:
    certified(world, authority.issue(end=NOW + timedelta(days=20)))
    warned(diagnose(), "certificate", "in 19 days", "make a new Developer ID")


@pytest.mark.parametrize(
    ("about", "said", "cure"),
    [
        ({"end": NOW - timedelta(days=2)}, "expired on", "make a new Developer ID"),
        ({"start": NOW + timedelta(days=2)}, "is not valid before", "clock"),
        ({"team": "ANOTHER123"}, "ANOTHER123", "use that team's certificate"),
        ({"company": "Somebody"}, "Somebody", "signing.name"),
        ({"code": False}, "is not for signing code", "Developer ID Application"),
    ],
)
def test_a_certificate_that_will_not_do(
    world: World, diagnose: Diagnose, about: dict[str, object], said: str, cure: str
) -> None:
    certified(world, authority.issue(**{"end": NOW + timedelta(days=90), **about}))  # type: ignore[arg-type]
    found = diagnose()
    one = finding(found, "certificate")
    assert one.ok is False and said in one.detail and cure in one.cure and one.status == Exit.SECRET


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MACOS_DEVELOPER_ID_CERTIFICATE_PASSWORD", "another password", "password is wrong"),
        ("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", "bm90IGEgcDEy", "is not a .p12"),
        ("MACOS_DEVELOPER_ID_CERTIFICATE_BASE64", "not base64 at all", "not base64"),
    ],
)
def test_an_archive_that_does_not_open(
    world: World, diagnose: Diagnose, name: str, value: str, said: str
) -> None:
    world.environ[name] = value
    one = finding(diagnose(), "certificate")
    assert one.ok is False and said in one.detail and one.cure and one.status == Exit.SECRET


# Sparkle's key


def test_a_private_key_that_is_not_the_public_ones(world: World, diagnose: Diagnose) -> None:
    world.environ["SPARKLE_PRIVATE_KEY"] = base64.b64encode(OTHER.private_bytes_raw()).decode()
    found = diagnose()
    one = finding(found, "EdDSA key")
    assert one.ok is False and PUBLIC in one.detail and "use the right key" in one.cure
    assert one.status == Exit.SECRET == found.status


def test_an_app_that_was_built_with_another_key(world: World, diagnose: Diagnose) -> None:
    with world.case() as case:
        info = case.places.app / "Contents" / "Info.plist"
    info.parent.mkdir(parents=True)
    info.write_bytes(plistlib.dumps({"SUPublicEDKey": eddsa.public_key(OTHER)}))
    found = diagnose()
    warned(found, "Info.plist", f"trusts {eddsa.public_key(OTHER)}", "builds it again")
    found = diagnose(taken=True)  # it is not built again
    wrong(found, "Info.plist", f"trusts {eddsa.public_key(OTHER)}", "leave out --from", Exit.SECRET)
    info.write_bytes(plistlib.dumps({"SUPublicEDKey": PUBLIC}))
    assert finding(diagnose(), "Info.plist").ok is True
    info.unlink()


def published_by(world: World, folder: Path, identity: Identity) -> None:
    """Make a build public that was signed by others than those of today."""
    release = publication(folder, "1")
    release = replace(release, merge=lambda before: memory.record(release_feed(folder), identity))
    publish(side(world.bucket.store()), release)


def release_feed(folder: Path) -> Feed:
    return Feed("API for Cursor", items=(publication(folder, "1").item,))


def test_installed_apps_that_trust_another_key(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    theirs = eddsa.public_key(OTHER)
    published_by(world, tmp_path, Identity(theirs, digest_of(world), authority.TEAM, "1", "1"))
    found = diagnose()
    wrong(found, "installed apps", "trust another key", "./invoke keys.rotate", Exit.SECRET)
    assert theirs in finding(found, "installed apps").detail


def test_key_and_certificate_do_not_change_at_once(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    published_by(world, tmp_path, Identity(eddsa.public_key(OTHER), "ab" * 32, authority.TEAM, "1", "1"))
    wrong(
        diagnose(),
        "installed apps",
        "key and certificate change in the same release",
        "change one of them now",
        Exit.SECRET,
    )


def test_a_build_that_does_not_rise(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    world.publish(tmp_path, "12")
    wrong(diagnose(), "build", "build 9 does not rise above 12", "--build 13", Exit.VERSION)


# Apple


def test_a_notary_that_does_not_know_the_key(world: World, diagnose: Diagnose) -> None:
    world.environ["APPLE_NOTARY_ISSUER"] = "00000000-0000-4000-8000-000000000000"
    wrong(diagnose(), "notary", "refused the request (HTTP 401)", "check the issuer id", Exit.NOTARY_AUTH)


def test_an_agreement_that_waits(world: World, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.apple, "_behaviour", replace(world.apple._behaviour, agreement=True))
    wrong(diagnose(), "notary", "REQUIRED_AGREEMENTS", "developer.apple.com/account", Exit.NOTARY_AUTH)


def test_a_notary_key_that_is_none(world: World, diagnose: Diagnose) -> None:
    world.environ["APPLE_NOTARY_PRIVATE_KEY"] = "AuthKey_ABC.p8"
    wrong(diagnose(), "notary", "not a P-256 private key", "AuthKey_", Exit.SECRET)


def test_a_notary_that_is_out_of_reach(world: World, diagnose: Diagnose) -> None:
    world.overrides["profiles.production.notary.url"] = "http://127.0.0.1:9/notary/v2"
    wrong(diagnose(), "notary", "no usable answer", "check the connection", Exit.NETWORK)


# Cloudflare


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"token": "another"}, "not accepted (401): 1000 Invalid API Token"),
        ({"status": "disabled"}, "the token is disabled"),
        ({"status": "expired"}, "the token is expired"),
    ],
)
def test_a_token_that_does_not_live(
    world: World, diagnose: Diagnose, about: dict[str, str], said: str
) -> None:
    for name, value in about.items():
        setattr(world.cloudflare, name, value)
    one = finding(diagnose(), "Cloudflare's token")
    assert one.ok is False and said in one.detail and "make a new token" in one.cure
    assert one.status == Exit.SECRET


def test_a_token_that_ends_soon_and_one_of_an_account(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.owner = "account"
    world.cloudflare.expires_on = (NOW + timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    warned(diagnose(), "Cloudflare's token", "active until", "make a new token")
    assert ("GET", f"/accounts/{cloudflare.ACCOUNT}/tokens/verify") in world.cloudflare.seen


def test_a_zone_of_another_site(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.name = "elsewhere.example"
    wrong(diagnose(), "Cloudflare's zone", "the zone is elsewhere.example", "publish.purge_zone", Exit.CONFIG)


def test_a_zone_that_is_not_there(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.zone = "f" * 32
    wrong(diagnose(), "Cloudflare's zone", "there is no such zone", "Zone / Cache Purge", Exit.SECRET)


def test_a_token_that_may_purge_and_not_look(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.may_look = False
    warned(diagnose(), "Cloudflare's zone", "9109", "Zone / Zone Read")


def test_cloudflare_is_busy(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.errors = 2
    found = diagnose()
    assert {one.name for one in found.failed} == {"Cloudflare's token", "Cloudflare's zone"}
    assert found.status == Exit.NETWORK and all(one.cure == "try again later" for one in found.failed)


def test_nothing_of_cloudflare_is_needed(
    world: World, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world.overrides["profiles.production.publish.purge_zone"]
    del world.overrides["profiles.production.publish.purge_token"]
    del world.environ["CLOUDFLARE_API_TOKEN"]
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    found = diagnose()
    assert not found.failed
    assert "no release needs it" in finding(found, "Cloudflare's token").detail
    assert "no publish.purge_zone" in finding(found, "Cloudflare's zone").detail


# the bucket


def test_a_bucket_that_does_not_know_us(world: World, diagnose: Diagnose) -> None:
    world.environ["R2_ACCESS_KEY_ID"] = "another-key"
    found = diagnose()
    one = finding(found, "bucket")
    assert one.ok is False and "403" in one.detail and "access key and secret" in one.cure
    assert {each.name for each in found.failed} == {"bucket", "installed apps", "build"}


def test_a_bucket_that_is_not_there(world: World, diagnose: Diagnose) -> None:
    world.overrides["profiles.production.publish.bucket"] = "another-bucket"
    one = finding(diagnose(), "bucket")
    assert one.ok is False and "there is no such bucket" in one.detail and one.cure == "create it first"


# the site and the clock


def test_a_site_that_is_out_of_reach(world: World, diagnose: Diagnose) -> None:
    world.reachable = False
    found = diagnose()
    assert {one.name for one in found.failed} == {"site", "feed"}
    assert found.status == Exit.NETWORK and "worker.deploy" in finding(found, "site").cure


def test_nothing_published_yet(diagnose: Diagnose) -> None:
    found = diagnose()
    assert not found.failed and finding(found, "feed").detail == "nothing is published yet"
    assert "nobody has to accept it" in finding(found, "installed apps").detail


def test_a_feed_that_somebody_else_signed(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    world.publish(tmp_path)
    found = world.bucket.store().get(FEED_KEY)
    assert found is not None
    world.put_feed(eddsa.sign_feed(eddsa.verify_feed(found[1], PUBLIC), OTHER))
    one = finding(diagnose(), "feed")
    assert one.ok is False and one.status == Exit.SIGNATURE and "installed apps trust" in one.cure


def test_a_feed_that_keeps_updates_from_working(world: World, diagnose: Diagnose, tmp_path: Path) -> None:
    world.publish(tmp_path)
    found = world.bucket.store().get(FEED_KEY)
    assert found is not None
    plain = eddsa.verify_feed(found[1], PUBLIC)
    world.put_feed(eddsa.sign_feed(plain.replace(b" length=", b" sparkle:length="), KEY))
    wrong(diagnose(), "feed", "would keep updates from working", "./invoke appcast.lint", Exit.APPCAST)


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_wrong(world: World, diagnose: Diagnose, seconds: float) -> None:
    world.clock = FakeClock(start=NOW.timestamp() + seconds)
    found = diagnose()
    one = finding(found, "clock")
    way = "ahead of" if seconds > 0 else "behind"
    assert one.ok is False and way in one.detail and "set it" in one.cure


def test_json_and_the_table_say_the_same(world: World, diagnose: Diagnose) -> None:
    world.cloudflare.may_look = False
    found, out = diagnose(), io.StringIO()
    report.show(found, Console(file=out, width=200))
    data = json.loads(json.dumps(found.as_json()))
    assert (data["profile"], data["ok"], data["status"]) == ("production", True, 0)
    assert [one["name"] for one in data["checks"]] == [one.name for one in found.findings]
    assert set(data["checks"][0]) == {"group", "name", "ok", "detail", "cure", "status"}
    assert all(one.name in out.getvalue() for one in found.findings)
    assert "1 with a warning" in out.getvalue() and "not checked" in out.getvalue()


def test_names_are_unlike_each_other(world: World) -> None:
    with world.case() as case:
        names = [check.name for check in checks(case)]
    assert len(names) == len(set(names)) and len(names) >= 30
