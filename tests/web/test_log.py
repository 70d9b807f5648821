"""The log's last lines as the Settings page shows them."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import pytest

from app.server.logs import FILE, log_request, logging_to
from app.web.log import TAIL, TAIL_BYTES, Entry, entries, tail
from app.web.words import moment
from tests.web.conftest import Pages


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A log as the server writes it."""
    log = logging.getLogger("app.server")
    with logging_to(tmp_path) as path:
        assert path is not None
        log.info("bridge: %s", "run", extra={"fields": {"end": "done", "ms": 2315}})
        log_request({"path": "/v1/models", "status": 200, "ms": 1.5, "stream": False, "error": None})
        log.warning("the bridge hung up (%s)", "EOFError")
        try:
            raise ValueError("secret words")
        except ValueError:
            log.exception("a watcher failed")
    return path


def test_what_the_server_writes_is_read(written: Path) -> None:
    bridge, request, warning, error = found = entries(tail(written))
    assert bridge.text == "bridge: run" and bridge.fields == (("end", "done"), ("ms", "2315"))
    assert request.text == "request"
    assert dict(request.fields) == {
        "path": "/v1/models", "status": "200", "ms": "1.5", "stream": "false", "error": "null",
    }  # fmt: skip
    assert (warning.text, warning.fields) == ("the bridge hung up (EOFError)", ())
    assert error.fields[0] == ("exception", "ValueError") and error.fields[1][1].startswith("test_log.py:")
    assert [(one.level, one.tone) for one in found[1:]] == [
        ("info", "calm"), ("warning", "warn"), ("error", "bad"),
    ]  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    assert all(one.time and abs((now - one.time).total_seconds()) < 60 for one in found)


@pytest.mark.parametrize(
    "line",
    [
        "", "torn", "{", "[]", "{}", '{"time": 7, "level": "info", "message": "x"}',
        '{"time": "today", "level": "info", "message": "x"}', '{"time": "2026-11-28T14:05:06Z"}',
        '{"a":' * 5000, "\udcff",
    ],
)  # fmt: skip
def test_what_is_no_line_of_ours_is_shown_as_it_is(line: str) -> None:
    assert entries([line]) == [Entry(line)]


def test_only_whole_lines_of_the_end_are_given(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert tail(path) == []
    path.write_text("".join(f"{number}\n" for number in range(100)))
    assert tail(path) == [str(number) for number in range(100 - TAIL, 100)]
    path.write_text("x" * TAIL_BYTES + "\nlast\n")
    assert tail(path) == ["last"]


def test_times_are_this_machine_s() -> None:
    time = datetime.datetime(2026, 11, 28, 14, 5, 6, tzinfo=datetime.UTC)
    assert moment(time) == f"{time.astimezone():%-d %b %H:%M:%S}"


def test_nothing_in_the_log_becomes_part_of_the_page(pages: Pages) -> None:
    text = pages.get("/app/settings")
    assert "Nothing was logged yet." in text
    folder = pages.state.settings.data_dir / "logs"
    folder.mkdir()
    line = (
        '{"time": "2026-11-28T14:05:06.000Z", "level": "<i>", "message": "<script>1</script>", "<b>": "<u>"}'
    )
    (folder / FILE).write_text(f"</pre><script>2</script>\n{line}\n")
    text = pages.get("/app/settings")
    assert "&lt;script&gt;1&lt;/script&gt;" in text and "&lt;script&gt;2" in text
    for tag in ("<script>1", "<script>2", "<i>", "<b>:", "<u>"):
        assert tag not in text
    assert text.index("14:05:06") < text.index("&lt;script&gt;2")  # the newest first
