"""One release out of the feed: its files stay, people are told, and what it leaves is sound."""

import pytest

from appcast.feed import FeedFault
from errors import Exit, Fault
from release.objects import FEED_KEY
from release.publish import publish
from release.yank import plan, yank
from tests.standins.crashes import at_every_request
from tests.standins.public import LATEST, digest, offered, publication, settled, side, watch
from tests.standins.store import MemoryStore


@pytest.fixture
def store(tmp_path) -> MemoryStore:
    made = MemoryStore()
    for build in "123":
        publish(side(made), publication(tmp_path, build))
    publish(side(made), publication(tmp_path, "4", channel="beta"))
    return made


@pytest.mark.parametrize("name", ["3", "1.3"])
def test_it_goes_by_version_or_build_and_its_files_stay(store, name):
    image = "releases/API-for-Cursor-1.3-3.dmg"
    before = store.objects[image]
    watch(store)
    wanted = plan(side(store), name)
    placed, warnings = yank(side(store), wanted)
    assert offered(store) == ["4", "2", "1"] and store.objects[image] == before
    assert store.objects["releases/1.3/3.json"]
    assert placed.action == "copied" and not warnings
    assert digest(store, LATEST) == digest(store, "releases/API-for-Cursor-1.2-2.dmg")
    noted = store.objects[FEED_KEY][0].metadata
    assert (noted["action"], noted["release"], noted["withdrawn"]) == ("yank", "1.3-3", "3")
    settled(store)


def test_who_has_it_is_named_as_stuck_and_the_others_get_the_one_before(store):
    wanted = plan(side(store), "3")
    assert {group.row.offer.version for group in wanted.changes} >= {"2"}
    assert wanted.stuck and all(group.row.offer.version is None for group in wanted.stuck)
    assert all("3" in group.versions for group in wanted.stuck) and not wanted.empties


def test_an_old_one_leaves_the_button_alone(store):
    placed, _ = yank(side(store), plan(side(store), "2"))
    assert placed.action == "unchanged" and offered(store) == ["4", "3", "1"]
    settled(store)


def test_a_channel_is_emptied_only_by_force(store):
    with pytest.raises(Fault, match="all that the channel 'beta' has") as caught:
        plan(side(store), "4")
    assert caught.value.status == Exit.APPCAST and "--force" in (caught.value.cure or "")
    wanted = plan(side(store), "4", force=True)
    assert wanted.empties == "beta"
    yank(side(store), wanted, force=True)
    assert offered(store) == ["3", "2", "1"]
    settled(store)


def test_the_last_of_all_takes_the_button_with_it(tmp_path):
    store = MemoryStore()
    publish(side(store), publication(tmp_path, "1"))
    placed, _ = yank(side(store), plan(side(store), "1", force=True), force=True)
    assert placed.action == "removed" and LATEST not in store.objects and offered(store) == []
    assert "releases/API-for-Cursor-1.1-1.dmg" in store.objects


@pytest.mark.parametrize("name", ["9", "", "1.9"])
def test_what_is_not_offered_is_not_taken_out_and_what_is_is_listed(store, name):
    with pytest.raises(Fault, match="is in the feed") as caught:
        plan(side(store), name)
    assert caught.value.status == Exit.USAGE and "1.3 (3)" in str(caught.value)


def test_a_version_with_two_builds_has_to_be_named_by_build(tmp_path):
    store = MemoryStore()
    for build in ("1", "2", "3"):
        publish(side(store), publication(tmp_path, build, short_version="1.0"))
    with pytest.raises(Fault, match=r"several builds of 1\.0") as caught:
        plan(side(store), "1.0")
    assert caught.value.status == Exit.USAGE
    yank(side(store), plan(side(store), "3"))
    assert offered(store) == ["2", "1"]


def test_somebody_who_yanks_it_first_is_not_undone(store):
    wanted = plan(side(store), "3")
    yank(side(store), plan(side(store), "3"))
    yank(side(store), wanted)
    assert offered(store) == ["4", "2", "1"]
    again = plan(side(store), "3")
    assert again.item is None
    settled(store)


def test_a_release_published_meanwhile_stays(tmp_path, store):
    wanted = plan(side(store), "3")
    publish(side(store), publication(tmp_path, "5"))
    yank(side(store), wanted)
    assert offered(store)[0] == "5" and "3" not in offered(store)
    settled(store)


def test_it_cannot_be_published_again(tmp_path, store):
    yank(side(store), plan(side(store), "3"))
    with pytest.raises(Fault, match="not offered any more") as caught:
        publish(side(store), publication(tmp_path, "3"))
    assert caught.value.status == Exit.VERSION and "3" not in offered(store)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_request_it_is_finished_by_doing_it_again(store, when):
    def finished(store: MemoryStore) -> None:
        assert offered(store) == ["4", "2", "1"]
        settled(store)

    def operation(store: MemoryStore) -> None:
        yank(side(store), plan(side(store), "3"))

    assert at_every_request(store, when, operation, finished=finished) >= 10


def test_nothing_public_yet():
    with pytest.raises((Fault, FeedFault), match="nothing has been published"):
        plan(side(MemoryStore()), "1")
