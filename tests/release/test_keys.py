from __future__ import annotations

import base64
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast.feed import Feed
from appcast.history import Identity, record
from errors import Exit, Fault
from release import config as configuration
from release import keys
from release.config import Config
from release.continuity import (
    RotationFault,
    Signers,
    hands_over,
    installed_before,
    outlook,
    require_continuity,
)
from signing import eddsa
from signing.eddsa_expanded import expand

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "old-key", "new-key"
CERTIFICATE, RENEWED = "aa" * 32, "bb" * 32
INSTALLED = Identity(OLD, CERTIFICATE, "ABCDE12345", "10", "57")
SAME = Signers(OLD, OLD, CERTIFICATE, "ABCDE12345")
HANDOVER = replace(SAME, key=NEW)
AFTER = replace(SAME, key=NEW, signing_key=NEW)


def test_nothing_to_continue_and_nothing_changed_are_fine() -> None:
    require_continuity(None, AFTER)
    require_continuity(INSTALLED, SAME)


def test_one_of_certificate_and_key_may_change() -> None:
    require_continuity(INSTALLED, replace(SAME, certificate=RENEWED))
    require_continuity(INSTALLED, HANDOVER)
    require_continuity(INSTALLED, replace(HANDOVER, certificate=None))


@pytest.mark.parametrize("signing_key", [OLD, NEW])
def test_both_at_once_are_refused(signing_key: str) -> None:
    both = replace(HANDOVER, signing_key=signing_key, certificate=RENEWED)
    with pytest.raises(RotationFault, match="key and certificate change") as caught:
        require_continuity(INSTALLED, both)
    assert caught.value.status == Exit.SECRET
    for name in (OLD, NEW, CERTIFICATE, RENEWED):
        assert name in str(caught.value)


def test_a_key_that_changes_without_a_handover_is_refused() -> None:
    with pytest.raises(RotationFault, match="another key") as caught:
        require_continuity(INSTALLED, AFTER)
    assert "retiring_key" in (caught.value.cure or "")


def feed_of(*signed: Identity) -> Feed:
    feed = Feed("t")
    for one in signed:
        feed = record(feed, one)
    return feed


def test_the_handover_is_one_release_however_often_it_runs() -> None:
    before = feed_of(INSTALLED)
    assert hands_over(before, "58", key=NEW, retiring=OLD)
    done = feed_of(INSTALLED, Identity(NEW, CERTIFICATE, "ABCDE12345", "58", "58"))
    assert hands_over(done, "58", key=NEW, retiring=OLD)  # the same release again
    assert not hands_over(done, "59", key=NEW, retiring=OLD)  # those who have it would refuse the old key
    assert not hands_over(before, "58", key=OLD, retiring=OLD)
    assert not hands_over(before, "58", key=NEW, retiring=None)
    assert not hands_over(before, "58", key=NEW, retiring="another")
    assert not hands_over(None, "58", key=NEW, retiring=OLD)


def test_what_is_installed_is_what_came_before_this_build() -> None:
    later = Identity(NEW, CERTIFICATE, "ABCDE12345", "58", "60")
    feed = feed_of(INSTALLED, later)
    assert installed_before(feed, "61") == later
    assert installed_before(feed, "58") == INSTALLED
    assert installed_before(feed, "10") is None and installed_before(None, "1") is None


@pytest.mark.parametrize(
    ("offered", "way"),
    [
        (SAME, "at once"),
        (replace(SAME, certificate=RENEWED, team="OTHER00000"), "at once"),
        (HANDOVER, "at once"),
        (AFTER, "late"),
        (replace(AFTER, team="OTHER00000"), "by hand"),
        (Signers(NEW, "third", CERTIFICATE, "ABCDE12345"), "by hand"),
    ],
)
def test_who_can_still_update(offered: Signers, way: str) -> None:
    assert outlook(INSTALLED, offered).way == way


def test_apps_without_a_team_have_only_their_key() -> None:
    assert outlook(replace(INSTALLED, team=""), replace(AFTER, team="")).way == "by hand"


def test_a_plan_leads_through_the_handover() -> None:
    first = keys.plan((INSTALLED,), SAME, AFTER, None)
    assert [one.way for one in first.handover] == ["at once"] and [one.way for one in first.after] == ["late"]
    assert any("retiring_key" in step for step in first.steps) and any(NEW in step for step in first.steps)
    ready = keys.plan((INSTALLED,), AFTER, AFTER, OLD)
    assert len(ready.steps) == len(first.steps) - 2 and "Release once" in ready.steps[0]
    handed = Identity(NEW, CERTIFICATE, "ABCDE12345", "58", "58")
    second = keys.plan((INSTALLED, handed), AFTER, AFTER, OLD)
    assert 'minimum_update_version = "58"' in second.steps[0]
    assert [one.way for one in second.handover] == ["late", "at once"]
    last = keys.plan((INSTALLED, replace(handed, last="59")), AFTER, AFTER, OLD)
    assert len(last.steps) == 1 and "take sparkle.retiring_key out" in last.steps[0]


def test_a_plan_for_a_certificate_or_nothing() -> None:
    renewed = keys.plan((INSTALLED,), SAME, replace(SAME, certificate=RENEWED), None)
    assert "the same key" in renewed.steps[0] and renewed.handover[0].way == "at once"
    assert "Nothing changes" in keys.plan((INSTALLED,), SAME, SAME, None).steps[0]
    assert "Publish a release first" in keys.plan((), SAME, SAME, None).steps[0]
    with pytest.raises(RotationFault, match="certificate change"):
        keys.plan((INSTALLED,), SAME, replace(AFTER, certificate=RENEWED), None)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "release.toml").write_bytes((ROOT / "release.toml").read_bytes())
    (tmp_path / "dist" / "rehearsal").mkdir(parents=True)
    return configuration.load(tmp_path)


def test_keys_are_made_shown_and_moved(config: Config, tmp_path: Path) -> None:
    public = keys.generate(config)
    path = tmp_path / "dist" / "rehearsal" / "ed25519.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.show(config) == public == keys.show(config, f"file:{path}")
    assert keys.export(config, tmp_path / "copy") == public
    assert keys.import_key(config, str(tmp_path / "copy"), "file:dist/again.key") == public
    assert (tmp_path / "dist" / "again.key").read_text() == path.read_text()
    with pytest.raises(Fault, match="already"):
        keys.generate(config)


def test_an_old_key_is_imported_as_it_is(config: Config, tmp_path: Path) -> None:
    source = tmp_path / "old"
    source.touch(0o600)
    source.write_text(base64.b64encode(expand(b"s" * 32)).decode())
    seeded = eddsa.public_key(Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    assert keys.import_key(config, str(source)) == seeded == keys.show(config)


def test_a_plan_needs_no_release_to_have_been(config: Config) -> None:
    made = keys.rotate(config)
    assert made.handover == () and "Publish a release first" in made.steps[0]
