"""Updates: which version runs, whether there is a newer one, and which ones are wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app import updates
from app.errors import AppError
from app.server.state import state_of
from app.web.forms import form
from app.web.overview import Tone
from app.web.render import page, said
from app.web.words import sentence

NO_FEED = "This copy runs from source and knows no feed of updates; API_FOR_CURSOR_FEED names one."


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of looking; `url` leads to the newer version, if there is one."""

    tone: Tone
    text: str
    url: str = ""


async def show(request: Request) -> Response:
    """Answer GET /app/updates."""
    return updates_page(request)


def updates_page(
    request: Request, status: int = 200, *, found: Finding | None = None, error: str = ""
) -> Response:
    """Render the page, with what came of looking."""
    state = state_of(request)
    can = state.shell is not None or updates.source(state.settings) is not None
    preferences = state.preferences().preferences
    return page(
        request,
        "updates",
        status,
        preferences=preferences,
        found=found,
        can_check=can,
        # On a Mac Sparkle looks by itself. Elsewhere the page does when it is opened.
        look=can and state.shell is None and preferences.check_for_updates and not (found or error),
        cannot=NO_FEED,
        error=error,
    )


async def check(request: Request) -> Response:
    """Answer POST /app/updates/check: on a Mac Sparkle looks and asks, elsewhere the feed is read here."""
    await form(request)
    state = state_of(request)
    try:
        if state.shell is not None:
            await state.shell.check_for_updates()
            return said("/app/updates", "asked")
        channel = state.preferences().preferences.channel
        found = await asyncio.to_thread(updates.look, state.settings, channel=channel)
    except AppError as error:
        return updates_page(request, 502, error=sentence(error))
    return updates_page(request, found=finding(found))


def finding(update: updates.Update) -> Finding:
    """Put what the feed says into the page's words; only web addresses become links."""
    url = update.url or ""
    tone: Tone = "warn" if update.state == "newer" else "good" if update.state == "current" else "calm"
    text = f"{update.said[:1].upper()}{update.said[1:]}."
    return Finding(tone, text, url if url.startswith(("https://", "http://127.0.0.1")) else "")


async def save(request: Request) -> Response:
    """Answer POST /app/updates: the channel, and whether to look by itself."""
    fields, state = await form(request), state_of(request)
    by_itself = "check_for_updates" in fields
    try:
        if state.shell is not None:
            await state.shell.set_automatic_updates(by_itself)
        state.change(check_for_updates=by_itself, channel=fields.get("channel", "stable"))
    except AppError as error:
        return updates_page(request, 422, error=sentence(error))
    return said("/app/updates", "settings")
