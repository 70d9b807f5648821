"""The hosted API of old: keys kept for people, Cursor's models at this site. Off unless it is switched on.

Cursor asked for it to be taken down; the local app takes its place. What is left answers 410 with where to
get the app, unless HOSTED_API_ENABLED is 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.replies import problem
from worker.requests import respond, site_of

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
GONE = (
    "The hosted API has ended. Get the local app, which serves the same endpoints on your own machine: "
    "{site}/download"
)


def enabled(settings: Mapping[str, str]) -> bool:
    """Whether the hosted API is to work."""
    return settings.get("HOSTED_API_ENABLED", "").strip().lower() in ("1", "true", "yes", "on")


def routes(settings: Mapping[str, str]) -> list[Route]:
    """Give the hosted API's routes: those that work, or those that say that it has ended."""
    if enabled(settings):
        from worker.hosted.table import ROUTES

        return ROUTES
    paths = ("/api/signup", "/api/account{rest:path}", "/v1/{rest:path}", "/u/{account}/v1/{rest:path}")
    return [Route(path, _gone, methods=METHODS) for path in paths]


async def _gone(request: Request) -> Response:
    return respond(problem(410, GONE.format(site=site_of(request)), "hosted_api_ended"))
