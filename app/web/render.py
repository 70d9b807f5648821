"""Templates to pages. A request of htmx gets only the part that changes, everything else the whole page."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from app.errors import AppError
from app.server.state import state_of
from app.version import command, version
from app.web.access import Access
from app.web.overview import summary

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation; `name` is its template and icon."""

    name: str
    path: str
    title: str


LINKS = (
    Link("status", "/app/", "Status"),
    Link("agents", "/app/agents", "Agents"),
    Link("activity", "/app/activity", "Activity"),
    Link("playground", "/app/playground", "Playground"),
    Link("settings", "/app/settings", "Settings"),
    Link("updates", "/app/updates", "Updates"),
)

SAID = {
    "key-kept": "The key works and is kept.",
    "key-unchecked": "The key is kept. It was not checked.",
    "key-checked": "Cursor accepts the key.",
    "key-removed": "The key is removed.",
    "key-unlocked": "The key is unlocked.",
    "settings": "The settings are saved.",
    "installed": "It is set up.",
    "removed": "Removed. The agent's other settings are as they were.",
    "undone": "The last change is undone.",
    "skipped": "Skipped. You can go on from the Status page at any time.",
    "finished": "Everything is set up.",
    "asked": "The app looks for updates; it says what it finds.",
    "finder": "The folder is open in the Finder.",
}
"""What a page may be told to say after a redirect, by the query's `said`; nothing else is shown."""


@cache
def environment() -> jinja2.Environment:
    """Give the templates, which escape what they are given."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        money=money, about=about, sentence=sentence, count=count, duration=duration, clock=clock, day=day
    )
    made.globals.update(links=LINKS, version=version(), command=command)
    return made


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render `name`.html for `request`; `error` among `values` is a sentence at its head."""
    partial = request.headers.get("hx-request") == "true"
    text = (
        environment()
        .get_template(f"{name}.html")
        .render(
            layout="partial.html" if partial else "layout.html",
            current=name,
            summary=summary(state_of(request)),
            token=access_of(request).form_token,
            said=SAID.get(request.query_params.get("said", ""), ""),
            **{"error": "", **values},
        )
    )
    return HTMLResponse(text, status)


def part(name: str, **values: Any) -> str:
    """Render a template that is no page of its own."""
    return environment().get_template(name).render(**values)


def locked(why: str) -> str:
    """Render what somebody sees who is not let in: `why` is "locked", "used" or "foreign"."""
    return part("locked.html", why=why)


def access_of(request: Request) -> Access:
    """Give the pages' door to an endpoint."""
    access: Access = request.app.state.access
    return access


def said(place: str, code: str) -> RedirectResponse:
    """Lead on to the page at `place`, which says `code` of SAID."""
    return RedirectResponse(f"{place}?said={code}", 303)


def sentence(error: AppError | str) -> str:
    """Give an error, or another text without a stop, as a sentence."""
    text = str(error)
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}." if first.islower() else f"{text}."  # macOS stays as it is


def about(usd: float) -> str:
    """Write a sum of US dollars in cents."""
    return "<$0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"


def money(usd: float) -> str:
    """Write US dollars, with as many digits as say something."""
    if usd == 0 or usd >= 0.995:
        return f"${usd:,.2f}"
    if usd < 0.000005:
        return "<$0.00001"
    return f"${usd:.3f}" if usd >= 0.01 else f"${usd:.5f}"


def count(number: int | None) -> str:
    """Write a count, long ones shortened: 950, 12.3k, 4.5M."""
    if number is None:
        return "–"
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if number >= size:
            unit = 1000 if letter == "k" else size
            return f"{number / unit:.1f}{letter}"
    return f"{number:,}"


def duration(ms: float | None) -> str:
    """Write milliseconds as people read them."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms / 60_000:.0f} min"


def clock(seconds: float) -> str:
    """Write epoch seconds as this machine's time of day."""
    return f"{datetime.datetime.fromtimestamp(seconds):%H:%M:%S}"


def day(date: datetime.date) -> str:
    """Write a date, short."""
    return f"{date.day} {date:%b}"
