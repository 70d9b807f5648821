"""Answers as values: the same ones go out through ASGI or, on Cloudflare, as native responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from worker.ports import Object
from worker.ranges import Slice

CORS: Mapping[str, str] = MappingProxyType(
    {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "content-length, content-range, etag, x-request-id",
    }
)
PREFLIGHT: Mapping[str, str] = MappingProxyType(
    {
        **CORS,
        "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
        "access-control-allow-headers": "authorization, content-type, x-api-key, idempotency-key, "
        "x-session-affinity, x-opencode-session-id, x-opencode-session, range, if-range, if-none-match",
        "access-control-max-age": "86400",
    }
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body`, or the `part` of the object `found`, which the host sends as it does best.

    `length` is what Content-Length says, also where nothing is sent, to a HEAD.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    found: Object | None = None
    part: Slice | None = None

    @property
    def length(self) -> int:
        """The size of what is sent to GET, in bytes."""
        return len(self.body) if self.part is None else self.part.end - self.part.start


class Refusal(Exception):
    """Ends a request with a reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def problem(status: int, message: str, code: str, *, param: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's shape, as every route here answers; header names take `_` for `-`."""
    error = {"message": message, "type": code, "param": param, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status,
        {**CORS, "content-type": "application/json; charset=utf-8", "cache-control": "no-store", **named},
        json.dumps({"error": error}, separators=(",", ":")).encode(),
    )


def not_found() -> Reply:
    """There is nothing of this name."""
    return problem(404, "Not found", "not_found")


def bad_path() -> Reply:
    """The path cannot be decoded."""
    return problem(400, "The path has a broken percent escape", "invalid_request_error")


def not_allowed(allow: str) -> Reply:
    """The path exists, the method does not."""
    return problem(405, f"Use {allow}", "method_not_allowed", allow=allow)


def unavailable(what: str) -> Reply:
    """A part of the host is down; what exactly is the log's affair."""
    return problem(503, f"The {what} does not answer; try again soon", "unavailable", retry_after="10")


def unset(what: str) -> Refusal:
    """A setting or binding that this needs is not there: 503, and the name is for whoever runs the site."""
    return Refusal(problem(503, f"This is not set up here ({what})", "not_configured"))


def answer(body: object, status: int = 200, **headers: str) -> Reply:
    """Answer with JSON that nobody keeps."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = json.dumps(body, separators=(",", ":")).encode()
    kind = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return Reply(status, {**CORS, **kind, **named}, data)
