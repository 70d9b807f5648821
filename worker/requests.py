"""What routes ask of a request."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from worker.ports import Ports
from worker.replies import Reply


def ports_of(request: Request) -> Ports:
    """Give a route what its host offers."""
    ports: Ports = request.app.state.ports
    return ports


def site_of(request: Request) -> str:
    """Give the site's own address, as it is to be known."""
    setting = ports_of(request).settings.get("PUBLIC_URL")
    if setting:
        parts = urlsplit(setting)
        return f"{parts.scheme}://{parts.netloc}"
    return f"{request.url.scheme}://{request.url.netloc}"


def respond(reply: Reply) -> Response:
    """Make Starlette's response of a reply."""
    return Response(reply.body, reply.status, dict(reply.headers))


def client_of(request: Request) -> str:
    """Give the address of whoever asks, for limits: Cloudflare's header where Cloudflare sets it.

    The local host believes that header only if TRUST_CF_CONNECTING_IP says that Cloudflare stands before it.
    """
    trusted = ports_of(request).settings.get("TRUST_CF_CONNECTING_IP") == "1"
    given = request.headers.get("cf-connecting-ip") if trusted else None
    return given or (request.client.host if request.client else "unknown")
