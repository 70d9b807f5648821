"""The site as one ASGI application.

Releases are answered by hand, as they carry the weight; everything else is Starlette's.
"""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from worker import hosted
from worker.early_access import early_access
from worker.notary_webhook import notary_webhook
from worker.paths import broken
from worker.ports import Ports, Unavailable
from worker.releases import LATEST, is_mine
from worker.replies import (
    CORS,
    PREFLIGHT,
    Refusal,
    Reply,
    bad_path,
    not_allowed,
    not_found,
    problem,
    unavailable,
)
from worker.requests import respond
from worker.sending import Releases, path_of, send_reply
from worker.site import pages

PUBLIC_URL: Final = "https://api-for-composer.standardagents.ai"
ASSETS: Final = ("/favicon.ico", "/assets/{path:path}")
OLD_HOST: Final = b"cursor-api."  # where the hosted endpoints once were

log = logging.getLogger("worker")


def make(ports: Ports, assets: ASGIApp | None = None) -> ASGIApp:
    """Make the application for these ports; `assets` serves files where the host does not do it itself."""
    site = Starlette(
        routes=[
            *pages.ROUTES,
            *([Route(path, assets) for path in ASSETS] if assets else ()),
            Route("/api/early-access", early_access, methods=["POST"]),
            Route("/api/notary/webhook/{token}", notary_webhook, methods=["POST"]),
            *hosted.routes(ports.settings),
        ],
        exception_handlers={
            Refusal: _on_refusal,
            HTTPException: _on_http,
            Unavailable: _on_unavailable,
            Exception: _on_crash,
        },
    )
    site.router.redirect_slashes = False
    site.state.ports = ports
    releases = Releases(ports.releases, ports.settings.get("LATEST_IMAGE", LATEST))
    canonical = urlsplit(ports.settings.get("PUBLIC_URL", PUBLIC_URL))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await site(scope, receive, send)
        elif _host(scope).startswith(OLD_HOST):
            await send_reply(_moved(scope, f"{canonical.scheme}://{canonical.netloc}"), scope["method"], send)
        elif is_mine(path_of(scope)):
            await releases.serve(scope, send)
        elif broken(path_of(scope)):
            await send_reply(bad_path(), scope["method"], send)
        elif scope["method"] == "OPTIONS":
            await send_reply(Reply(204, PREFLIGHT), "OPTIONS", send)
        else:
            await site(scope, receive, send)

    return app


def _host(scope: Scope) -> bytes:
    return next((value.lower() for name, value in scope["headers"] if name == b"host"), b"")


def _moved(scope: Scope, site: str) -> Reply:
    query = scope["query_string"].decode("latin-1")
    target = path_of(scope).decode("latin-1") + (f"?{query}" if query else "")
    return Reply(308, {**CORS, "location": site + target})


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return respond(error.reply)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return respond(not_allowed((error.headers or {}).get("Allow", "another method")))
    if error.status_code == 404:
        return respond(not_found())
    return respond(problem(error.status_code, error.detail, "invalid_request_error"))


async def _on_unavailable(request: Request, error: Exception) -> Response:
    log.warning("%s", error)
    return respond(unavailable("service"))


async def _on_crash(request: Request, error: Exception) -> Response:
    """Say nothing of what went wrong to whoever asked; Starlette hands it on to the log."""
    return respond(problem(500, "Something went wrong here", "server_error"))
