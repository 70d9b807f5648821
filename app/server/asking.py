"""From a checked request to a prompt for the bridge: the key, the model, the session, the pictures."""

from __future__ import annotations

import asyncio

from starlette.requests import Request as HttpRequest

from app.cursor.conversation import Image, Prompt, Turn
from app.cursor.models import Model, resolve
from app.openai.chat import Request
from app.openai.errors import ApiError, no_such_model
from app.openai.images import Remote
from app.openai.messages import remotes, turns
from app.server.presence import unless_left
from app.server.state import State, state_of
from app.version import command

SESSION_HEADERS = (b"x-session-affinity", b"x-opencode-session-id", b"x-opencode-session")
LONGEST_SESSION = 256


async def read_body(request: HttpRequest) -> bytes:
    """Give the body of a request that says it is JSON, or refuse: 415.

    A web page of another site cannot say so without asking first, and is then refused.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(415, "Content-Type must be application/json.", code="invalid_request_error")
    return await request.body()


async def require_key(state: State) -> str:
    """Give the Cursor key, or refuse: 401. What a client sends as its key is never used."""
    held = await state.keys.current()
    if held.key is not None:
        return held.key
    locked = held.state == "locked"
    message = _locked(held.source) if locked else _missing()
    code = "locked_api_key" if locked else "missing_api_key"
    raise ApiError(401, message, type="authentication_error", code=code)


def _missing() -> str:
    return (
        f"No Cursor API key is set. Enter one in the app, or with `{command('key set')}`; Cursor's dashboard "
        "has it, under Integrations. CURSOR_API_KEY in the environment will do as well."
    )


def _locked(source: str) -> str:
    return (
        f"The Cursor API key is locked in {source}. Unlock it in the app, or with `{command('key unlock')}`."
    )


def require_model(name: str | None) -> Model:
    """Find the model, or refuse: 404."""
    model = resolve(name)
    if model is None:
        raise no_such_model(name or "")
    return model


def session_of(request: HttpRequest) -> str | None:
    """Give what keeps a client's conversation together, from the headers that name it."""
    sent = {name: value.strip() for name, value in request.scope["headers"] if name in SESSION_HEADERS}
    found = next((sent[name] for name in SESSION_HEADERS if sent.get(name)), None)
    return None if found is None else found.decode("latin-1")[:LONGEST_SESSION]


async def make_prompt(
    request: HttpRequest, asked: Request, session: str | None, before: tuple[Turn, ...] = ()
) -> Prompt:
    """Make the prompt, with `before` in front; fetches pictures that are elsewhere. Raises ApiError."""
    model = require_model(asked.model)
    key = await require_key(state_of(request))
    wanted = remotes(asked.messages)
    fetched = await unless_left(request, _fetch(wanted)) if wanted else {}
    conversation = (*before, *turns(asked.messages, fetched))
    return Prompt(model, key, conversation, asked.constraints(), asked.offer.tools, session)


async def _fetch(wanted: tuple[Remote, ...]) -> dict[Remote, Image]:
    from app.server.fetch import fetch  # what it needs is of no use to most requests

    images = await asyncio.gather(*(fetch(remote.url) for remote in wanted))
    return dict(zip(wanted, images, strict=True))
