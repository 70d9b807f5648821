"""Put the server together: routes, door, errors, the bridge's life."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from importlib import import_module

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from app.account import asking
from app.cursor.client import Bridge
from app.keychain import Environment
from app.keys import Keys
from app.openai.errors import ApiError
from app.preferences import File
from app.server.answers import on_api_error, on_crash, on_disconnect, on_http_error
from app.server.control import reload
from app.server.health import health
from app.server.listening import Address
from app.server.models import get_model, list_models
from app.server.security import Door
from app.server.state import State
from app.settings import Settings
from app.web import Pages, front


def build(
    settings: Settings,
    address: Address,
    bridge: Bridge | None = None,
    *,
    keys: Keys | None = None,
    file: File | None = None,
) -> Starlette:
    """Make the application. Its lifespan starts the bridge (the real one unless given) and ends it.

    Unless `keys` are given the key is the one in the settings, and cannot be changed.
    """
    bridge = bridge or Bridge(settings)
    keys = keys or Keys(Environment(settings.key), asking(bridge))
    state = State(settings, address, bridge, keys, file)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        reading = asyncio.create_task(keys.current())
        await bridge.start()
        state.activity.open()
        try:
            with state.watchers.watching(state.activity.heard):
                yield
        finally:
            reading.cancel()
            await bridge.stop()
            await state.activity.close()

    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(Door, origins=lambda: state.settings.origins, watchers=state.watchers)],
        exception_handlers={
            ClientDisconnect: on_disconnect,
            ApiError: on_api_error,
            HTTPException: on_http_error,
            Exception: on_crash,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.server = state
    return app


def _routes() -> list[BaseRoute]:
    """Give the routes, those first that every run takes: they are tried in order."""
    api = [route for prefix in ("/v1", "") for route in _api(prefix)]
    return [
        *api,
        Route("/health", health, methods=["GET"]),
        Route("/", front, methods=["GET"]),
        Route("/app", front, methods=["GET"]),
        Mount("/app", Pages()),
        Route("/control/reload", reload, methods=["POST"]),
    ]


def _api(prefix: str) -> list[Route]:
    response = f"{prefix}/responses/{{id}}"
    return [
        Route(f"{prefix}/chat/completions", _later("chat", "create_completion"), methods=["POST"]),
        Route(f"{prefix}/responses", _later("responses", "create_response"), methods=["POST"]),
        Route(f"{prefix}/models", list_models, methods=["GET"]),
        Route(f"{prefix}/models/{{id:path}}", get_model, methods=["GET"]),
        Route(f"{prefix}/completions", _later("chat", "create_old_completion"), methods=["POST"]),
        Route(f"{prefix}/responses/input_tokens", _later("responses", "count"), methods=["POST"]),
        Route(response, _later("responses", "answer_kept"), methods=["GET", "DELETE"]),
        Route(f"{response}/input_items", _later("responses", "list_input_items"), methods=["GET"]),
        Route(f"{response}/cancel", _later("responses", "cancel_response"), methods=["POST"]),
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def _later(module: str, name: str) -> Endpoint:
    """Give an endpoint of app.server that is imported when it is first asked for: a third of the start."""

    @cache
    def found() -> Endpoint:
        endpoint: Endpoint = getattr(import_module(f"app.server.{module}"), name)
        return endpoint

    async def endpoint(request: Request) -> Response:
        return await found()(request)

    return endpoint
