"""The first steps: a key, a first answer, a first agent. Shown until they are done or put off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.cursor.conversation import Prompt, Turn
from app.cursor.models import DEFAULT
from app.errors import AppError
from app.keys import hint
from app.openai import chat
from app.openai.errors import ApiError
from app.server.asking import require_key
from app.server.runs import collect, play, typed
from app.server.state import State, state_of
from app.server.visits import KEY as VISIT
from app.server.visits import Visit, note
from app.web.agents import AgentLine, agent_lines
from app.web.forms import form
from app.web.render import page, said
from app.web.words import sentence

AT_FIRST = "new"
DONE = 4  # the step after the last
HELLO = "Say hello to a new user in one short sentence."
OWN_AGENT = "first steps"
PATIENCE = 60  # seconds


def setup_step(state: State) -> Literal[1, 2, 3]:
    """Say which step is next: 1 the key, 2 the first answer, 3 an agent."""
    if state.keys.held.state != "present":
        return 1
    answered = any(day.requests > day.errors for day in state.activity.sums.values())
    return 3 if answered else 2


async def show(request: Request) -> Response:
    """Answer GET /app/welcome."""
    await state_of(request).keys.current()
    lines = await agent_lines(state_of(request)) if setup_step(state_of(request)) == 3 else []
    return welcome_page(request, agents=[line for line in lines if line.here])


def welcome_page(
    request: Request,
    status: int = 200,
    *,
    wrong: str = "",
    unchecked: bool = False,
    answer: str = "",
    failure: str = "",
    agents: Sequence[AgentLine] = (),
) -> Response:
    """Render the steps, with what became of the one just taken."""
    state = state_of(request)
    return page(
        request,
        "welcome",
        status,
        step=DONE if any(agent.after for agent in agents) else setup_step(state),
        held=state.keys.held,
        hint=hint(state.keys.held.key),
        account=state.keys.account,
        model=DEFAULT.id,
        wrong=wrong,
        unchecked=unchecked,
        answer=answer,
        failure=failure,
        agents=agents,
    )


async def test(request: Request) -> Response:
    """Answer POST /app/welcome/test: ask the default model for a first answer."""
    await form(request)
    state = state_of(request)
    try:
        with counted(request):
            answer = await asyncio.wait_for(_first_answer(request), PATIENCE)
    except (ApiError, TimeoutError) as error:
        text = str(error) or "No answer came within a minute. Try again."
        return welcome_page(request, 502, failure=text)
    lines = await agent_lines(state)
    return welcome_page(request, answer=answer, agents=[line for line in lines if line.here])


async def end(request: Request) -> Response:
    """Answer POST /app/welcome/done and /app/welcome/dismissed."""
    await form(request)
    how = request.path_params["end"]
    if how not in ("done", "dismissed"):
        raise HTTPException(404)
    try:
        state_of(request).change(setup=how)
    except AppError as error:
        return welcome_page(request, 409, failure=sentence(error))
    return said("/app/", "finished" if how == "done" else "skipped")


@contextlib.contextmanager
def counted(request: Request) -> Iterator[None]:
    """Count a page's own question to a model among the requests: it costs as much as another."""
    visit: Visit = request.scope[VISIT]
    status = 502
    try:
        yield
        status = 200
    finally:
        known = {"time": visit.at, **visit.fields(), "agent": OWN_AGENT, "status": status}
        state_of(request).activity.heard("ended", known)


async def _first_answer(request: Request) -> str:
    state = state_of(request)
    prompt = Prompt(DEFAULT, await require_key(state), (Turn("user", HELLO),), "", (), None)
    note(request, model=DEFAULT.id)
    with typed():
        whole = await collect(play(state.bridge, prompt, chat.Request(None, ())))
    note(request, usage=whole.end.usage, price=DEFAULT.price)
    return whole.text
