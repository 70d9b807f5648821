"""What is remembered of requests, and for how long."""

from __future__ import annotations

import asyncio
import datetime
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from app.activity import Activity, Call, days
from app.activity.days import Day
from app.activity.live import BEHIND, RECENT
from app.web.chart import HEIGHT, WIDTH, chart
from tests.app.conftest import RunFailed, Text
from tests.web.conftest import KEY, Pages

pytestmark = pytest.mark.anyio
NOON = datetime.datetime(2026, 3, 29, 12).timestamp()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def known(number: int = 1, **more: Any) -> dict[str, Any]:
    """What is told of a request, as app.server.visits tells it."""
    basis = {
        "request": f"req_{number}",
        "time": NOON + number,
        "method": "POST",
        "path": "/v1/chat/completions",
        "agent": "opencode/1.2",
        "status": 0,
        "ms": 1.0,
    }
    return basis | more


OVER: dict[str, Any] = {
    "status": 200, "ms": 1500.0, "first_ms": 300.0, "model": "composer-2.5", "stream": True,
    "tokens_in": 100, "tokens_out": 20, "cost": 0.0001, "estimated": False,
}  # fmt: skip


def activity(folder: Path) -> Activity:
    return Activity(folder, lambda: NOON)


async def test_a_request_runs_and_ends(tmp_path: Path) -> None:
    one = activity(tmp_path)
    one.heard("started", known())
    one.heard("noted", known(model="composer-2.5"))
    assert [(call.running, call.agent, call.model) for call in one.calls()] == [
        (True, "opencode", "composer-2.5")
    ]
    one.heard("ended", known(**OVER))
    assert not one.running
    assert one.calls()[0].first_ms == 300.0
    assert one.sums == {datetime.date(2026, 3, 29): Day(1, 0, 100, 20, 0.0001)}
    await one.close()


@pytest.mark.parametrize(
    ("fields", "failed", "left"),
    [
        ({"status": 200}, False, False),
        ({"status": 401, "error": "missing_api_key"}, True, False),
        ({"status": 200, "error": "cursor_stream_error"}, True, False),
        ({"status": 499, "error": "client_left"}, False, True),
        ({"status": 200, "error": "client_left"}, False, True),
        ({"status": 0}, False, True),
    ],
)
def test_who_leaves_has_not_failed(fields: dict[str, Any], failed: bool, left: bool) -> None:
    call = Call("req_1", NOON, **fields)
    assert (call.failed, call.left, call.day.errors) == (failed, left, int(failed))


async def test_what_asks_no_model_counts_for_no_day(tmp_path: Path) -> None:
    one = activity(tmp_path)
    one.heard("started", known(path="/v1/models"))
    one.heard("ended", known(path="/v1/models", status=200))
    assert len(one.calls()) == 1
    assert one.sums == {}


async def test_no_more_is_kept_than_is_shown(tmp_path: Path) -> None:
    one = activity(tmp_path)
    for number in range(RECENT + 50):
        one.heard("started", known(number))
        one.heard("ended", known(number, **OVER))
    assert len(one.calls()) == RECENT
    assert one.calls()[0].id == f"req_{RECENT + 49}"
    await one.close()


async def test_sums_outlive_the_server(tmp_path: Path) -> None:
    one = activity(tmp_path)
    one.heard("ended", known(1, **OVER))
    one.heard("ended", known(2, **OVER | {"status": 502, "error": "x"}))
    await one.close()
    later = activity(tmp_path)
    later.open()
    assert later.sums == {datetime.date(2026, 3, 29): Day(2, 1, 200, 40, 0.0002)}
    file = tmp_path / days.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "opencode" not in file.read_text()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"days": {"someday": {}}}', b"\xff\xfe", b""])
async def test_a_broken_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / days.FILE).write_bytes(content)
    one = activity(tmp_path)
    one.open()
    assert one.sums == {}
    assert (tmp_path / f"{days.FILE}.broken").read_bytes() == content


async def test_a_disk_that_takes_nothing_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    one = activity(tmp_path / "file")
    one.heard("ended", known(**OVER))
    await one.close()
    assert "not saved" in caplog.text


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    first = datetime.date(2020, 1, 1)
    many = {first + datetime.timedelta(days=number): Day(number) for number in range(days.KEPT + 10)}
    days.save(tmp_path, many)
    kept = days.load(tmp_path)
    assert len(kept) == days.KEPT
    assert max(kept) == max(many)
    assert json.loads((tmp_path / days.FILE).read_text())["version"] == 1


async def test_who_watches_sees_each_call_as_it_is_last(tmp_path: Path) -> None:
    one = activity(tmp_path)
    with one.watching() as watch:
        one.heard("started", known(1))
        one.heard("started", known(2))
        one.heard("ended", known(1, **OVER))
        assert watch.news.is_set()
        assert [(call.id, call.running) for call in watch.take() or ()] == [
            ("req_1", False),
            ("req_2", True),
        ]
        assert watch.take() == []
        assert not watch.news.is_set()
    await one.close()


async def test_who_is_far_behind_is_told_to_look_anew(tmp_path: Path) -> None:
    one = activity(tmp_path)
    with one.watching() as watch:
        for number in range(BEHIND + 1):
            one.heard("started", known(number))
        assert watch.take() is None
        assert watch.take() == []


def test_bars_are_as_high_as_days_cost() -> None:
    today = datetime.date(2026, 3, 29)
    sums = {today: Day(cost=2.0), today - datetime.timedelta(days=1): Day(cost=1.0)}
    drawn = chart(days.last(sums, today, 30))
    assert [bar.height for bar in drawn.bars[-3:]] == [0, HEIGHT / 2, HEIGHT]
    assert drawn.bars[-1].x + drawn.bars[-1].width <= WIDTH
    assert (drawn.most, drawn.total) == (2.0, 3.0)
    empty = chart(days.last({}, today, 30))
    assert {bar.height for bar in empty.bars} == {0}


def ask(pages: Pages, stream: bool = True) -> int:
    body = {"model": "composer-2.5", "stream": stream, "messages": [{"role": "user", "content": "sesame"}]}
    return pages.client.post("/v1/chat/completions", json=body).status_code


def test_requests_show_with_their_cost_and_without_their_words(pages: Pages) -> None:
    pages.post("/app/key", key=KEY)
    pages.bridge.script = (Text(1, "abracadabra"), *pages.bridge.script[1:])
    assert ask(pages) == 200
    pages.bridge.script = (RunFailed("rate_limit", "slow"),)
    assert ask(pages, stream=False) == 429
    text = pages.get("/app/activity")
    assert "rate_limit_exceeded" in text and "composer-2.5" in text and "testclient" in text
    assert "sesame" not in text and "abracadabra" not in text
    today = pages.state.activity.last(1)[pages.state.activity.today]
    assert (today.requests, today.errors) == (2, 1)
    assert today.cost > 0


async def test_events_are_drawn_as_rows_and_sums(tmp_path: Path) -> None:
    from app.web.activity import _stream

    one = activity(tmp_path)
    stream = _stream(one)
    assert await anext(stream) == b": hello\n\n"
    one.heard("started", known(agent="<b>/1"))
    row = (await anext(stream)).decode()
    assert row.startswith("event: row\ndata: ")
    assert "&lt;b&gt;" in json.loads(row.split("data: ", 1)[1])
    one.heard("ended", known(**OVER))
    names = [(await anext(stream)).split(b"\n")[0] for _ in range(2)]
    assert names == [b"event: row", b"event: sums"]
    waiting = asyncio.ensure_future(anext(stream))
    one.leave()
    with pytest.raises(StopAsyncIteration):
        await waiting
    await one.close()
