"""Verification while keys change: what a hand-over looks like from outside, and what only looks like one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from release.objects import FEED_KEY, FEED_TYPE, SHORT
from release.rehearsal.site import Site, route
from release.verification import Verification
from release.verify import Expected, verify_site
from signing.eddsa import public_key
from tests.standins import shipped
from tests.standins.shipped import KEY, SITE, Release
from tests.standins.store import MemoryStore

pytestmark = pytest.mark.xdist_group("verify")

NEW = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)

Verify = Callable[..., Verification]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def old(folder: Path) -> Release:
    return shipped.make(folder, "6", key=KEY)


@pytest.fixture(scope="module")
def handing(folder: Path) -> Release:
    """The app has the new key, everything is signed with the retiring one."""
    return shipped.make(folder, "7", key=KEY, app_key=NEW)


@pytest.fixture(scope="module")
def after(folder: Path) -> Release:
    return shipped.make(folder, "8", key=NEW)


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    def run(*releases: Release, feed: bytes | None = None, expected: Expected | None = None) -> Verification:
        store = shipped.publish(MemoryStore(), *releases)
        if feed is not None:
            store.put(FEED_KEY, feed, content_type=FEED_TYPE, cache_control=SHORT)
        with Site(store, latest=shipped.LATEST) as site, requests.Session() as session:
            route(session, SITE, site.url)
            return verify_site(SITE, session=session, workdir=tmp_path / "work", expected=expected)

    return run


def failed(verification: Verification) -> set[str]:
    return {row.name for row in verification.failed if row.group != "who is offered what"}


SIGNED = {"feed signature", "update signature", "statements' signature", "notes (en)"}


def test_a_hand_over_is_understood_from_outside(verify: Verify, old: Release, handing: Release) -> None:
    verification = verify(handing, old).require()
    details = {row.name: row.detail for row in verification.rows if row.group in ("feed", "1.7 (7)")}
    assert (
        "not the app's own" in details["feed signature"]
        and "not the app's own" in details["update signature"]
    )
    assert "1.6 (6)" in {row.group for row in verification.rows}  # its app shows the retiring key


def test_after_the_hand_over_the_new_key_alone_counts(
    verify: Verify, old: Release, handing: Release, after: Release
) -> None:
    verify(after, handing, old).require()
    stale = shipped.feed([after, handing, old], key=KEY)
    assert failed(verify(after, handing, old, feed=stale)) == {"feed signature"}


def test_a_hand_over_without_the_app_before_needs_the_key_from_elsewhere(
    verify: Verify, handing: Release
) -> None:
    assert failed(verify(handing)) == SIGNED
    verify(handing, expected=Expected(signed_by=public_key(KEY))).require()


def test_the_pipeline_says_who_signs(verify: Verify, old: Release, handing: Release) -> None:
    expected = Expected(key=public_key(NEW), signed_by=public_key(KEY), build="7")
    verify(handing, old, expected=expected).require()
    wrong = Expected(key=public_key(KEY), signed_by=public_key(KEY), build="7")
    assert failed(verify(handing, old, expected=wrong)) == {"app's key"}


def test_a_key_of_nobodys_app_does_not_count(verify: Verify, folder: Path, old: Release) -> None:
    """A thief has the bucket and a key of his own, not the one in the apps."""
    stolen = shipped.make(folder, "9", key=THIEF, app_key=KEY)
    assert failed(verify(stolen, old)) == SIGNED


def test_another_certificate_hands_nothing_over(
    verify: Verify, tmp_path: Path, folder: Path, handing: Release
) -> None:
    """The app before must be by the same certificate, or anybody could make one."""
    strangers = shipped.make(tmp_path / "strangers", "6", key=KEY)
    assert failed(verify(handing, strangers)) >= SIGNED
