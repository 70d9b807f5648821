"""The first page: how the app is, its address, the key, the bridge."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.cursor.models import MODELS
from app.errors import AppError
from app.keys import NotAKey, Unchecked, WrongKey, hint
from app.server.state import state_of
from app.web.forms import form
from app.web.overview import bridge_view
from app.web.render import page, said
from app.web.welcome import AT_FIRST, setup_step, welcome_page
from app.web.words import sentence


async def show(request: Request) -> Response:
    """Answer GET /app/; at the very first start the first steps come instead."""
    state = state_of(request)
    await state.keys.current()
    new = setup_step(state) == 1 and state.preferences().preferences.setup == AT_FIRST
    if new and "said" not in request.query_params:
        return RedirectResponse("/app/welcome", 303)
    return status_page(request)


def status_page(
    request: Request, status: int = 200, *, wrong: str = "", unchecked: bool = False, error: str = ""
) -> Response:
    """Render the page; `wrong` says why an entered key was not kept."""
    state = state_of(request)
    keys, loaded = state.keys, state.preferences()
    return page(
        request,
        "status",
        status,
        base_url=f"{state.address.url}/v1",
        models=[model.id for model in MODELS],
        held=keys.held,
        hint=hint(keys.held.key),
        account=keys.account,
        key_fixed=state.settings.key is not None,
        bridge=bridge_view(state.bridge),
        today=state.activity.last(1)[state.activity.today],
        setup_step=setup_step(state) if loaded.preferences.setup != "done" else None,
        problems=dict.fromkeys((*state.problems, *loaded.problems)),
        wrong=wrong,
        unchecked=unchecked,
        error=error,
    )


async def enter_key(request: Request) -> Response:
    """Answer POST /app/key: keep a key after Cursor was asked about it."""
    fields = await form(request)
    check = "unchecked" not in fields
    try:
        await state_of(request).keys.enter(fields.get("key", ""), check=check)
    except AppError as error:
        offer = isinstance(error, Unchecked)
        return _again(request, fields, _status(error), wrong=sentence(error.what), unchecked=offer)
    return said(_place(fields), "key-kept" if check else "key-unchecked")


async def check_key(request: Request) -> Response:
    """Answer POST /app/key/check."""
    await form(request)
    try:
        await state_of(request).keys.test()
    except AppError as error:
        return status_page(request, _status(error), error=sentence(error))
    return said("/app/", "key-checked")


async def remove_key(request: Request) -> Response:
    """Answer POST /app/key/remove."""
    await form(request)
    try:
        await state_of(request).keys.remove()
    except AppError as error:
        return status_page(request, 409, error=sentence(error))
    return said("/app/", "key-removed")


async def unlock_key(request: Request) -> Response:
    """Answer POST /app/key/unlock; the system may ask the user, who may decline."""
    fields = await form(request)
    held = await state_of(request).keys.unlock()
    if held.state == "locked":
        return _again(request, fields, 409, wrong="It is still locked.")
    return said(_place(fields), "key-unlocked")


def _again(
    request: Request, fields: dict[str, str], status: int, *, wrong: str, unchecked: bool = False
) -> Response:
    shown = welcome_page if fields.get("next") == "welcome" else status_page
    return shown(request, status, wrong=wrong, unchecked=unchecked)


def _place(fields: dict[str, str]) -> str:
    return "/app/welcome" if fields.get("next") == "welcome" else "/app/"


def _status(error: AppError) -> int:
    return 422 if isinstance(error, NotAKey | WrongKey) else 503 if isinstance(error, Unchecked) else 409
