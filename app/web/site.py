"""The pages put together: routes, the guard, and errors that people understand."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.errors import AppError
from app.server.answers import on_disconnect
from app.server.state import State
from app.web import activity, agents, playground, settings, status, updates, welcome
from app.web.access import Access, load_key
from app.web.entry import enter
from app.web.guard import Guard
from app.web.render import page
from app.web.static import static
from app.web.words import sentence

PROBLEMS = {
    400: ("That was not understood", "What the browser sent is no form of this page."),
    404: ("There is no such page", "It may have been moved, or the address mistyped."),
    405: ("That is not how it works", "This address takes forms, or shows a page, but not the other way."),
    409: ("This page is from before", "The app was started anew since this page was loaded. Load it again."),
    413: ("That is too long", "No form of these pages needs as much."),
    415: ("That was not understood", "What the browser sent is no form of this page."),
    500: ("This went wrong", "The page failed; the app's log says why. Nothing was changed by this page."),
}


PAGES = ("/app/agents", "/app/settings", "/app/updates", "/app/welcome")


def site(state: State) -> ASGIApp:
    """Make the application under /app. Raises AppError if the pages' key cannot be kept."""
    access = Access(load_key(state.settings.data_dir), state.address.port)
    app = Starlette(
        routes=_routes(),
        exception_handlers={
            ClientDisconnect: on_disconnect,
            HTTPException: _on_http_error,
            AppError: _on_app_error,
            Exception: _on_crash,
        },
    )
    app.state.server = state
    app.state.access = access
    return Guard(app, access)


def _routes() -> list[Route]:
    def get(path: str, endpoint: object) -> Route:
        return Route(path, endpoint, methods=["GET"])  # type: ignore[arg-type]

    def post(path: str, endpoint: object) -> Route:
        return Route(path, endpoint, methods=["POST"])  # type: ignore[arg-type]

    return [
        get("/", status.show),
        post("/key", status.enter_key),
        post("/key/check", status.check_key),
        post("/key/remove", status.remove_key),
        post("/key/unlock", status.unlock_key),
        get("/agents", agents.show_all),
        get("/agents/{name}", agents.show_one),
        post("/agents/{name}/{action}", agents.change),
        get("/activity", activity.show),
        get("/activity/events", activity.events),
        get("/playground", playground.show),
        get("/settings", settings.show),
        post("/settings", settings.save),
        post("/settings/folder", settings.open_folder),
        get("/updates", updates.show),
        post("/updates", updates.save),
        post("/updates/check", updates.check),
        get("/welcome", welcome.show),
        post("/welcome/test", welcome.test),
        post("/welcome/{end}", welcome.end),
        get("/enter", enter),
        get("/static/{name}", static),
    ]


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(request, error.status_code)


async def _on_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return _problem(request, 409, text=sentence(error))


async def _on_crash(request: Request, error: Exception) -> Response:
    return _problem(request, 500)


def _problem(request: Request, code: int, text: str = "") -> HTMLResponse:
    title, usual = PROBLEMS.get(code, PROBLEMS[400])
    path = request.url.path if request.method == "POST" else ""
    back = next((place for place in PAGES if path.startswith(place)), "/app/")
    back_text = "Load it again" if path else "To Status"
    return page(request, "problem", code, title=title, text=text or usual, back=back, back_text=back_text)
