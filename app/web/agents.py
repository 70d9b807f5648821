"""Agent Setup: every agent with its state, the exact change before it is made, and back again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.agents.here import service
from app.agents.home import Home
from app.agents.model import Action
from app.agents.registry import AGENTS
from app.agents.service import AgentView, Preview, Service
from app.errors import AppError
from app.server.state import State, state_of
from app.web.forms import form
from app.web.overview import Tone
from app.web.render import page, said
from app.web.words import sentence

TONES: dict[str, Tone] = {
    "installed": "good",
    "needs update": "warn",
    "hosted": "warn",
    "unreadable": "bad",
}
WORDS = {"install": "not set up", "hosted": "elsewhere", "unreadable": "cannot be read"}
DONE = {"install": "installed", "update": "installed", "remove": "removed", "undo": "undone"}
BACK = {"welcome": ("/app/welcome", "First steps")}


@dataclass(frozen=True, slots=True)
class AgentLine:
    """An agent in a list: its state in a word, a tone and a sentence; `verb` is what to do next.

    `after` says what the user does in the agent now that it is set up; `lacks_tools` that it waits for a
    setting of this server.
    """

    name: str
    title: str
    word: str
    tone: Tone
    text: str
    verb: str
    here: bool
    after: str
    lacks_tools: bool


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a diff: plus, minus, place or same."""

    kind: Literal["plus", "minus", "place", "same"]
    text: str


@dataclass(frozen=True, slots=True)
class DiffFile:
    """A file's change."""

    path: str
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A change that can be made: what it would do, under `token`, or the `problem` with it."""

    action: str
    title: str
    button: str
    look: str
    token: str = ""
    files: tuple[DiffFile, ...] = ()
    problem: str = ""


def at_home(text: str) -> str:
    """Write the user's home as people do."""
    return text.replace(f"{Home().path}/", "~/")


def setup(state: State) -> Service:
    """Give Agent Setup for this server."""
    return service(f"{state.address.url}/v1")


async def agent_lines(state: State) -> list[AgentLine]:
    """Look at every agent; those that are here come first."""
    views = await asyncio.to_thread(lambda: setup(state).overview())
    lines = (line_of(view, state) for view in views)
    return sorted(lines, key=lambda line: (not line.here, line.tone == "calm"))


def line_of(view: AgentView, state: State) -> AgentLine:
    """Describe an agent for a list."""
    installed = view.state == "installed"
    verb = next((word for word in ("update", "install") if word in view.actions), "look")
    return AgentLine(
        view.name,
        view.title,
        WORDS.get(view.state, view.state),
        TONES.get(view.state, "calm"),
        at_home(view.sentence),
        {"update": "Update", "install": "Set up", "look": "Details"}[verb],
        view.state != "not found",
        view.after if installed else "",
        installed and view.responses_tools and not state.settings.responses_tools,
    )


async def show_all(request: Request) -> Response:
    """Answer GET /app/agents."""
    return page(request, "agents", agents=await agent_lines(state_of(request)))


async def show_one(request: Request) -> Response:
    """Answer GET /app/agents/{name}."""
    return await agent_page(request, request.query_params.get("from", ""))


async def agent_page(request: Request, origin: str, status: int = 200, error: str = "") -> Response:
    """Render one agent with what can be done to it, each as the exact change."""
    name = _name(request)
    state = state_of(request)
    view, offers = await asyncio.to_thread(_offers, setup(state), name)
    back, back_text = BACK.get(origin, ("/app/agents", "Agent Setup"))
    return page(
        request,
        "agent",
        status,
        section="agents",
        agent=line_of(view, state),
        website=view.website,
        changes=offers,
        can_undo="undo" in view.actions,
        origin=origin if origin in BACK else "",
        back=back,
        back_text=back_text,
        error=error,
    )


async def change(request: Request) -> Response:
    """Answer POST /app/agents/{name}/{action}: install, update, remove (as previewed) or undo."""
    name, action = _name(request), request.path_params["action"]
    if action not in DONE:
        raise HTTPException(404)
    fields = await form(request)
    origin = fields.get("from", "")
    try:
        await asyncio.to_thread(_do, setup(state_of(request)), name, action, fields.get("preview", ""))
    except AppError as error:
        return await agent_page(request, origin, 409, sentence(error))
    return said(BACK[origin][0] if origin in BACK else f"/app/agents/{name}", DONE[action])


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if name not in [agent.name for agent in AGENTS]:
        raise HTTPException(404)
    return name


def _do(service: Service, name: str, action: str, token: str) -> None:
    if action == "undo":
        service.undo(name)
    else:
        service.apply(name, _action(action), token)


def _action(word: str) -> Action:
    return "remove" if word == "remove" else "install"


def _offers(service: Service, name: str) -> tuple[AgentView, list[Offer]]:
    view = service.view(name)
    return view, [_offer(service, view, word) for word in view.actions if word != "undo"]


def _offer(service: Service, view: AgentView, word: str) -> Offer:
    titles = {
        "install": (f"Set up {view.title}", "Make this change", "primary"),
        "update": (f"Update {view.title}", "Make this change", "primary"),
        "remove": (f"Remove from {view.title}", "Take it out", "danger"),
    }
    title, button, look = titles[word]
    try:
        preview = service.preview(view.name, _action(word))
    except AppError as error:
        return Offer(word, title, button, look, problem=f"{error}.")
    return Offer(word, title, button, look, preview.token, tuple(_files(preview)))


def _files(preview: Preview) -> list[DiffFile]:
    return [
        DiffFile(at_home(str(file.path)), tuple(_lines(file.diff))) for file in preview.files if file.diff
    ]


def _lines(diff: str) -> list[DiffLine]:
    kinds: dict[str, Literal["plus", "minus", "place"]] = {"+": "plus", "-": "minus", "@": "place"}
    body = diff.splitlines()[2:]  # without the two lines that name the file
    return [DiffLine(kinds.get(line[:1], "same"), line) for line in body]
