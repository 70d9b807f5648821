"""The list of what is published: every build, what became of it, by whom; from the bucket alone."""

import io
import json

import pytest
from rich.console import Console

from release import public_report, rollback, rollout
from release.objects import FEED_KEY
from release.publish import publish
from release.publisher import Publisher
from release.releases import releases
from release.yank import plan as plan_yank
from release.yank import yank
from tests.standins.public import LATEST, SITE, publication, side
from tests.standins.store import MemoryStore

ROBOT = Publisher("octocat (GitHub Actions)", None, "https://github.test/runs/7", "c" * 40, "v1.2")


@pytest.fixture
def store(tmp_path) -> MemoryStore:
    made = MemoryStore()
    for build in "12345":
        who = {"publisher": ROBOT} if build == "2" else {}
        publish(side(made, **who), publication(tmp_path, build, channel="beta" if build == "4" else None))
    return made


def states(store: MemoryStore) -> dict[str, str]:
    return {one.build: one.state for one in releases(side(store))}


def test_by_channel_and_from_the_top(store):
    found = releases(side(store))
    assert [(one.channel, one.build) for one in found] == [
        ("stable", "5"), ("stable", "3"), ("stable", "2"), ("stable", "1"), ("beta", "4"),
    ]  # fmt: skip
    assert [one.latest for one in found] == [True, False, False, False, False]
    assert states(store) == {
        "5": "offered",
        "3": "offered",
        "2": "offered",
        "1": "superseded",
        "4": "offered",
    }
    assert {one.build: one.by for one in found}["2"] == ROBOT.name
    image = store.objects["releases/API-for-Cursor-1.5-5.dmg"][1]
    assert found[0].size == len(image) and found[0].version == "1.5" and found[0].published


def test_what_was_taken_back_says_by_what_and_whom(store):
    mine = side(store, publisher=ROBOT)
    yank(mine, plan_yank(mine, "5"))
    found = {one.build: one for one in releases(mine)}
    assert found["5"].state == "withdrawn" and found["5"].undone.startswith("yank 1.5-5 by octocat")
    assert found["3"].latest and not found["5"].latest
    rollback.roll_back(mine, rollback.plan(mine))
    again = {one.build: one for one in releases(mine)}
    assert again["3"].state == "withdrawn" and again["3"].undone.startswith("rollback 1.2-2 by octocat")
    assert again["4"].state == "withdrawn"  # the beta came after the feed that is public again


def test_one_whose_feed_was_never_written_is_not_published(tmp_path, store):
    class Stop(Exception):
        pass

    def stop(method: str, key: str) -> None:
        if (method, key) == ("put", FEED_KEY):
            raise Stop

    store.before = stop
    with pytest.raises(Stop):
        publish(side(store), publication(tmp_path, "6"))
    store.before = lambda method, key: None
    assert states(store)["6"] == "not published"


def test_one_from_before_there_were_manifests_is_listed_from_the_feed(store):
    del store.objects["releases/1.5/5.json"]
    found = {one.build: one for one in releases(side(store))}["5"]
    assert (found.state, found.by, found.version, found.latest) == ("offered", "", "1.5", True)


def test_a_button_that_leads_elsewhere_is_nobodys(store):
    store.objects[LATEST] = store.objects["releases/API-for-Cursor-1.1-1.dmg"]
    assert not any(one.latest for one in releases(side(store)))


def test_nothing_yet():
    assert releases(side(MemoryStore())) == []


def shown(store: MemoryStore, *, as_json: bool = False) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    public_report.releases(releases(side(store)), SITE, console, as_json=as_json)
    return console.export_text()


def test_the_table_and_the_json_say_the_same(store):
    mine = side(store)
    yank(mine, plan_yank(mine, "5"))
    table, data = shown(store), json.loads(shown(store, as_json=True))
    assert data["format"] == 1 and data["site"] == SITE
    rows = data["releases"]
    assert [row["build"] for row in rows] == ["5", "3", "2", "1", "4"]
    for row in rows:
        assert row["version"] in table and row["state"] in table
    assert rows[1]["latest"] and rows[0]["undone"].startswith("yank 1.5-5 by") and "yank 1.5-5 by" in table
    assert "nothing is published" in shown(MemoryStore())


def test_what_a_change_does_is_said_in_whole_sentences(tmp_path):
    store = MemoryStore()
    for build in "123":
        publish(side(store), publication(tmp_path, build, channel="beta" if build == "3" else None))
    dated = side(store).now().replace(microsecond=0)
    publish(side(store), publication(tmp_path, "4", published=dated, phased_rollout_interval=86400))
    said = printed(public_report.turn, rollout.plan(side(store), "pause"))
    assert "1.4 (4) is held: 1 of 7 groups of Macs have been offered it" in said
    mine = side(store)
    rollout.turn(mine, rollout.plan(mine, "pause"))
    assert "1.4 (4) goes on: 1 of 7" in printed(public_report.turn, rollout.plan(mine, "resume"))
    assert "1.4 (4) is offered to everybody" in printed(public_report.turn, rollout.plan(mine, "complete"))
    said = printed(public_report.rollback, rollback.plan(mine, "1"), "./invoke release")
    assert "back from 1.4 (4) to 1.1 (1), as it was public from 20" in said and " UTC\n" in said
    assert "build 2 or later on macOS 13 or later" in said  # 2, 3 and 4 are stuck, not 2 alone
    assert "It has to exceed 4" in said and "./invoke release --build 5" in said


def printed(report, *words) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    report(words[0], console, *words[1:])
    return console.export_text()
