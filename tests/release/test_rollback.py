"""Back to what was public: whole, signed, and honest about who cannot follow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import history as memory
from appcast import xml
from appcast.feed import Feed, find
from appcast.history import Identity
from errors import Exit, Fault
from release import history
from release.objects import FEED_KEY, FEEDS
from release.publish import publish
from release.rollback import plan, roll_back
from release.yank import plan as plan_yank
from release.yank import yank
from signing import eddsa
from tests.standins.crashes import at_every_request
from tests.standins.public import (
    KEY,
    LATEST,
    PUBLIC,
    digest,
    look,
    offered,
    public_feed,
    publication,
    settled,
    side,
    watch,
)
from tests.standins.store import MemoryStore

OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def published(folder: Path, *builds: str, **item: Any) -> MemoryStore:
    store = MemoryStore()
    for build in builds:
        publish(side(store), publication(folder, build, **item))
    return store


def back(store: MemoryStore, to: str = "") -> None:
    mine = side(store)
    roll_back(mine, plan(mine, to))


def test_the_feed_before_is_public_again_to_the_byte(tmp_path):
    store = published(tmp_path, "1", "2")
    first = store.objects[FEED_KEY][1]
    publish(side(store), publication(tmp_path, "3"))
    wanted = plan(side(store))
    assert wanted.data == first and not wanted.why and wanted.floor == "3"
    assert [item.version for item in wanted.withdrawn] == ["3"] and not wanted.restored
    watch(store)
    placed, warnings = roll_back(side(store), wanted)
    assert placed.action == "copied" and not warnings
    assert store.objects[FEED_KEY][1] == first and offered(store) == ["2", "1"]
    noted = store.objects[FEED_KEY][0].metadata
    assert (noted["action"], noted["release"], noted["withdrawn"]) == ("rollback", "1.2-2", "3")
    assert digest(store, LATEST) == digest(store, "releases/API-for-Cursor-1.2-2.dmg")
    settled(store)


def test_who_has_the_withdrawn_build_is_stuck_and_the_others_are_offered_the_old_one(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    wanted = plan(side(store))
    assert [(group.versions, group.row.offer.version) for group in wanted.stuck] == [("3 or later", None)]
    offers = {group.versions: group.row.offer.version for group in wanted.changes}
    assert offers == {"below 2": "2", "2": None}


def test_who_was_not_offered_it_yet_is_offered_what_he_was(tmp_path):
    """The feed that comes back is read anew: its versions are equal, not the very same strings."""
    store = published(tmp_path, "11", "12")
    now = side(store).now()
    publish(side(store), publication(tmp_path, "13", published=now, phased_rollout_interval=86400))
    changes = plan(side(store)).changes
    assert {(group.groups, group.row.offer.version) for group in changes} == {("1", "12"), ("1", None)}


def test_again_it_goes_further_back_and_never_up(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    back(store)
    back(store)
    assert offered(store) == ["1"]
    with pytest.raises(Fault, match="no feed to go back to") as caught:
        back(store)
    assert caught.value.status == Exit.PUBLISH
    back(store, "3")
    assert offered(store) == ["3", "2", "1"]
    settled(store)


@pytest.mark.parametrize("to", ["1", "1.1"])
def test_it_goes_to_a_version_or_build(tmp_path, to):
    store = published(tmp_path, "1", "2", "3")
    back(store, to)
    assert offered(store) == ["1"]
    settled(store)
    with pytest.raises(Fault, match="that offered 9"):
        back(store, "9")


def test_going_where_one_is_changes_nothing(tmp_path):
    store = published(tmp_path, "1", "2")
    feed = store.objects[FEED_KEY]
    wanted = plan(side(store), "2")
    assert wanted.done
    assert roll_back(side(store), wanted)[0].action == "unchanged" and store.objects[FEED_KEY] == feed


def test_nothing_to_go_back_to(tmp_path):
    with pytest.raises(Fault, match="nothing has been published yet"):
        plan(side(MemoryStore()))
    with pytest.raises(Fault, match="no feed to go back to"):
        plan(side(published(tmp_path, "1")))


def test_what_was_yanked_does_not_come_back(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    mine = side(store)
    yank(mine, plan_yank(mine, "2"))
    wanted = plan(mine)
    assert wanted.data is None and "2 was yanked since" in wanted.why
    roll_back(mine, wanted)
    assert offered(store) == ["1"]
    assert eddsa.verify_feed(store.objects[FEED_KEY][1], PUBLIC)
    settled(store)
    with pytest.raises(Fault, match="that offered 2"):
        plan(mine, "2")


def test_what_has_lost_its_files_does_not_come_back(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    del store.objects["releases/API-for-Cursor-1.1-1.dmg"]
    mine = side(store)
    wanted = plan(mine)
    assert wanted.data is None and "files of 1 are gone" in wanted.why
    roll_back(mine, wanted)
    assert offered(store) == ["2"]
    settled(store)


def test_a_kept_feed_that_nobody_trusted_signed_is_passed_over(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    for key in [key for key in store.objects if key.startswith(FEEDS)]:
        found, data = store.objects[key]
        if b"1.2-2.dmg" in data and b"1.3-3.dmg" not in data:
            store.objects[key] = (found, eddsa.sign_feed(data, OTHER))
    back(store)
    assert offered(store) == ["1"]


def test_a_feed_by_a_key_on_record_is_signed_anew_and_the_record_goes_on(tmp_path):
    """After a rotation: the old feed was signed by the retired key, which new apps do not know."""
    store = MemoryStore()
    old = side(store, keys=(eddsa.public_key(OTHER),), signers=lambda: (OTHER,))
    first = publication(tmp_path, "1")
    former = Identity(eddsa.public_key(OTHER), "ab" * 32, "TEAM", "1", "1")
    facts = replace(first.app, public_key=eddsa.public_key(OTHER))
    publish(
        old,
        replace(first, app=facts, merge=lambda before: memory.record(_only(first.merge(before)), former)),
    )
    both = side(store, keys=(eddsa.public_key(OTHER), PUBLIC), signers=lambda: (OTHER, KEY))
    publish(both, replace(publication(tmp_path, "2"), key=KEY))
    new = side(store)
    wanted = plan(new)
    assert wanted.data is None and "another key signs by now" in wanted.why
    roll_back(new, wanted)
    feed = public_feed(store)
    assert feed and offered(store) == ["1"]
    assert [one.public_key for one in memory.identities(feed)] == [former.public_key, PUBLIC]
    settled(store)


def _only(feed: Feed) -> Feed:
    return replace(feed, extra=())


def test_a_beta_published_since_goes_too_and_is_named(tmp_path):
    store = published(tmp_path, "1", "2")
    publish(side(store), publication(tmp_path, "3", channel="beta"))
    wanted = plan(side(store))
    assert [item.version for item in wanted.withdrawn] == ["3", "2"]


def test_somebody_who_publishes_meanwhile_stops_it(tmp_path):
    store = published(tmp_path, "1", "2")
    wanted = plan(side(store))
    publish(side(store), publication(tmp_path, "3"))
    with pytest.raises(Fault, match="meanwhile") as caught:
        roll_back(side(store), wanted)
    assert caught.value.status == Exit.CONFLICT and "publish 1.3-3 by Maintainer" in str(caught.value)
    assert offered(store) == ["3", "2", "1"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("to", ["", "2"])
def test_killed_at_any_request_it_is_finished_by_doing_it_again(tmp_path, when, to):
    template = published(tmp_path, "2", "3")

    def finished(store: MemoryStore) -> None:
        assert offered(store) == ["2"]
        settled(store)

    crashes = at_every_request(template, when, lambda store: _back_if_needed(store, to), finished=finished)
    assert crashes >= 15


def _back_if_needed(store: MemoryStore, to: str) -> None:
    try:
        back(store, to)
    except Fault as fault:  # without --to: it was done already, and there is nothing lower
        assert not to and fault.what.startswith("there is no feed to go back to")


def test_the_next_release_rises_above_what_was_withdrawn(tmp_path):
    store = published(tmp_path, "1", "2", "3")
    back(store)
    with pytest.raises(Fault, match="not offered any more") as caught:
        publish(side(store), publication(tmp_path, "3"))
    assert caught.value.status == Exit.VERSION and "rollback 1.2-2 by Maintainer" in str(caught.value)
    publish(side(store), publication(tmp_path, "4"))
    assert offered(store) == ["4", "2", "1"]
    back(store)
    assert offered(store) == ["2", "1"]
    settled(store)


def test_history_has_every_feed_with_its_deed(tmp_path):
    store = published(tmp_path, "1", "2")
    back(store)
    deeds = [(kept.action, kept.release) for kept in history.walk(store)]
    assert deeds == [("rollback", "1.1-1"), ("publish", "1.2-2"), ("publish", "1.1-1")]
    assert [kept.object.key for kept in history.notes(store)] == [
        kept.object.key for kept in history.walk(store)
    ]
    for kept in history.walk(store):
        assert xml.parse(eddsa.verify_feed(kept.data, PUBLIC)).items


def test_a_lost_copy_is_made_by_the_next_change(tmp_path):
    store = published(tmp_path, "1")
    kept = next(key for key in store.objects if key.startswith(FEEDS))
    del store.objects[kept]
    publish(side(store), publication(tmp_path, "2"))
    assert kept in store.objects
    feed = history.Kept(*store.objects[kept]).feed("https://example.test/appcast.xml")
    assert find(feed, "1") is not None
    look(store)
