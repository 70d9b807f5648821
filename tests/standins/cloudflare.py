"""Cloudflare's API as far as a release asks it: a token verified, a zone looked at, a cache purged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from release.rehearsal.apple_http import Request, Response, Server

TOKEN = "cf-token-that-is-alive"
ACCOUNT = "a" * 32
ZONE = "0123456789abcdef" * 2


@dataclass
class Cloudflare:
    """`status` and `expires_on` are the token's; `owner` whose it is: a user's, or its account's own.

    `may_look`: whether it has Zone / Zone Read. `errors`: so many requests are answered 503 first.
    """

    url: str = ""
    token: str = TOKEN
    status: str = "active"
    expires_on: str | None = None
    owner: str = "user"
    may_look: bool = True
    zone: str = ZONE
    name: str = "standardagents.ai"
    errors: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        self.seen.append((request.method, request.path))
        if self.errors:
            self.errors -= 1
            return Response(503, b"<html>busy</html>", "text/html")
        verify = "/user/tokens/verify" if self.owner == "user" else f"/accounts/{ACCOUNT}/tokens/verify"
        if request.path not in (verify, f"/zones/{self.zone}", f"/zones/{self.zone}/purge_cache"):
            return failure(401 if "tokens" in request.path else 404, 1000, "Invalid API Token")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return failure(401, 1000, "Invalid API Token")
        if request.path == verify:
            return success({"id": "t" * 32, "status": self.status, "expires_on": self.expires_on})
        if request.method == "POST":
            self.purged += json.loads(request.body())["files"]
            return success({"id": self.zone})
        if not self.may_look:
            return failure(403, 9109, "Unauthorized to access requested resource")
        return success({"id": self.zone, "name": self.name, "status": "active"})


def success(result: object) -> Response:
    return Response(200, json.dumps({"success": True, "errors": [], "result": result}).encode())


def failure(status: int, code: int, message: str) -> Response:
    said = {"success": False, "errors": [{"code": code, "message": message}], "result": None}
    return Response(status, json.dumps(said).encode())


@contextmanager
def cloudflare() -> Iterator[Cloudflare]:
    """Serve one on loopback."""
    made = Cloudflare()
    server = Server(made.answer)
    made.url = server.url
    try:
        yield made
    finally:
        server.close()
