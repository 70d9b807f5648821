"""The hosted API's routes when it is switched on."""

from __future__ import annotations

from starlette.routing import Route

from worker.hosted import api, tokens
from worker.hosted.signup import signup

ROUTES = [
    Route("/api/signup", signup, methods=["POST"]),
    Route("/api/account", tokens.show, methods=["GET"]),
    Route("/api/account", tokens.leave, methods=["DELETE"]),
    Route("/api/account/keys", tokens.add, methods=["POST"]),
    Route("/api/account/keys/rotate", tokens.rotate, methods=["POST"]),
    Route("/api/account/keys/{id}", tokens.revoke, methods=["DELETE"]),
    *api.routes("/v1"),
    *api.routes("/u/{account}/v1"),
]
