"""Activity: what the server is asked, live, and what it cost day by day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.activity import Activity, Call
from app.server.presence import EventStream
from app.server.state import state_of
from app.web.chart import chart
from app.web.render import page, part

DAYS = 30
BEAT = 20.0  # seconds without news after which a comment shows that the connection lives
SOON = 0.2  # seconds that news are gathered before they are drawn


async def show(request: Request) -> Response:
    """Answer GET /app/activity."""
    activity = state_of(request).activity
    return page(request, "activity", calls=activity.calls(), **sums(activity))


async def events(request: Request) -> Response:
    """Answer GET /app/activity/events: `row` and `sums` carry HTML as JSON text, `again` says reload."""
    return EventStream(_stream(state_of(request).activity))


def sums(activity: Activity) -> dict[str, Any]:
    """Give what live.html shows."""
    days = activity.last(DAYS)
    return {"today": days[activity.today], "chart": chart(days)}


async def _stream(activity: Activity) -> AsyncGenerator[bytes, None]:
    with activity.watching() as watch:
        yield b": hello\n\n"
        while not activity.closed:
            try:
                await asyncio.wait_for(watch.news.wait(), BEAT)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            await asyncio.sleep(SOON)
            for drawn in _drawn(activity, watch.take()):
                yield drawn


def _drawn(activity: Activity, calls: list[Call] | None) -> list[bytes]:
    if calls is None:
        return [_event("again", "")]
    out = [_event("row", part("row.html", call=call)) for call in calls]
    if any(not call.running for call in calls):
        out.append(_event("sums", part("live.html", **sums(activity))))
    return out


def _event(name: str, html: str) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(html))
