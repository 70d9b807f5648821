"""Templates to pages. A request of htmx gets only the part that changes, everything else the whole page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from app.keys import DASHBOARD
from app.server.state import state_of
from app.version import command, version
from app.web import words
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
    "finished": "That was all. Agents can be set up at any time.",
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
    made.filters |= words.FILTERS
    made.globals.update(links=LINKS, version=version(), command=command, dashboard=DASHBOARD)
    return made


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render `name`.html for `request`; `error` among `values` is a sentence at its head."""
    text = (
        environment()
        .get_template(f"{name}.html")
        .render(
            partial=request.headers.get("hx-request") == "true",
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
