"""Agent Setup for this user and the server that runs, or would run, on this machine."""

from __future__ import annotations

from app.agents.home import Home
from app.agents.model import Target, is_local
from app.agents.service import Service
from app.errors import AppError


def service(base_url: str | None = None) -> Service:
    """Give Agent Setup that points agents at `base_url`, else at the app's own address. Raises AppError."""
    return Service(Home(), Target(_checked(base_url) if base_url else _own()))


def _own() -> str:
    from app.instance import address
    from app.settings import from_environment

    return f"{address(from_environment())}/v1"


def _checked(url: str) -> str:
    trimmed = url.rstrip("/")
    if not trimmed.startswith(("http://", "https://")) or not is_local(trimmed):
        raise AppError(
            f"{url!r} is no address of this machine", cure="give one like http://127.0.0.1:8787/v1"
        )
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"
