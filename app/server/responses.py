"""POST /v1/responses, and what can be done with a response that is kept."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from app.cursor.client import RunFailed, ToolCalls
from app.cursor.conversation import Prompt, ToolCall, Turn
from app.openai import sse
from app.openai.completion import stream_error
from app.openai.errors import ApiError, invalid, unsupported
from app.openai.messages import Message
from app.openai.response_events import Growing
from app.openai.responses import ResponseRequest, parse
from app.openai.usage import responses_usage, tokens
from app.server.answers import Json
from app.server.asking import make_prompt, read_body, require_model, session_of
from app.server.chat import continued
from app.server.presence import EventStream, unless_left
from app.server.runs import End, Piece, Pieces, api_error, characters, collect, play, typed
from app.server.state import state_of
from app.server.store import Kept, Responses
from app.server.visits import note

LISTED = 20  # input items, unless asked for more
MOST_LISTED = 100


@dataclass(slots=True)
class Job:
    """A response that is being made: what was asked, sent and heard so far."""

    asked: ResponseRequest
    prompt: Prompt
    growing: Growing
    before: int  # turns of the prompt that are instructions
    store: Responses
    size: int
    calls: tuple[ToolCall, ...] = ()

    def ended(self, end: End) -> list[dict[str, Any]]:
        """Give the events that end the response; keeps it if that was asked for."""
        usage = responses_usage(end.usage, self.prompt.model.price)
        cut = end.finish == "length"
        events = list(self.growing.closing(cut=cut, completed=int(time.time()), usage=usage))
        if self.asked.store:
            self._keep(events[-1]["response"])
        return events

    def _keep(self, body: dict[str, Any]) -> None:
        text = self.growing.text_so_far()
        conversation = (*self.prompt.turns[self.before :], Turn("assistant", text, calls=self.calls))
        self.store.put(
            Kept(
                id=body["id"],
                body=body,
                items=self.asked.items,
                turns=conversation,
                session=self.prompt.session or body["id"],
                size=self.size + len(text),
            )
        )


async def create_response(request: HttpRequest) -> Response:
    """Answer POST /v1/responses, streamed or not."""
    state = state_of(request)
    body = await read_body(request)
    asked = parse(body, tools=state.settings.responses_tools)
    job = await _job(request, asked, len(body))
    note(request, model=job.prompt.model.id, stream=asked.asked.stream)
    pieces = play(state.bridge, job.prompt, asked.asked)
    if asked.asked.stream:
        with typed():
            first = await unless_left(request, anext(pieces))
        return EventStream(_events(request, job, first, pieces))
    with typed():
        whole = await unless_left(request, collect(pieces))
    for piece in (whole.text, ToolCalls(whole.calls), whole.end):
        events = _told(request, job, piece)
    return Json(events[-1]["response"])


async def _job(request: HttpRequest, asked: ResponseRequest, size: int) -> Job:
    store = state_of(request).responses
    previous = store.get(asked.previous, "previous_response_id") if asked.previous else None
    id = f"resp_{secrets.token_hex(24)}"
    session = session_of(request) or (previous.session if previous else id if asked.store else None)
    instructions = (Turn("system", asked.instructions),) if asked.instructions else ()
    before = (*instructions, *(previous.turns if previous else ()))
    prompt = await make_prompt(request, asked.asked, session, before)
    echo = {
        **asked.echo,
        "instructions": asked.instructions,
        "previous_response_id": asked.previous,
        "store": asked.store,
    }
    growing = Growing(id, int(time.time()), prompt.model.id, echo, asked.asked.offer.origins)
    size += previous.size if previous else 0
    return Job(asked, prompt, growing, len(instructions), store, size)


async def _events(
    request: HttpRequest, job: Job, first: Piece, pieces: Pieces
) -> AsyncGenerator[bytes, None]:
    for event in job.growing.opening():
        yield sse.named(event)
    async with contextlib.aclosing(continued(first, pieces)) as heard:
        try:
            async for piece in heard:
                for event in _told(request, job, piece):
                    yield sse.named(event)
        except (RunFailed, ApiError) as failure:
            error = failure if isinstance(failure, ApiError) else api_error(failure)
            note(request, error=error.code)
            yield sse.named(job.growing.failed(error))
            yield sse.event(stream_error(error), "error")


def _told(request: HttpRequest, job: Job, piece: Piece) -> list[dict[str, Any]]:
    match piece:
        case str():
            return list(job.growing.text(piece)) if piece else []
        case ToolCalls():
            job.calls += piece.calls
            return list(job.growing.calls(piece.calls))
        case End():
            note(request, usage=piece.usage, price=job.prompt.model.price)
            return job.ended(piece)
        case _:
            return []


async def answer_kept(request: HttpRequest) -> Response:
    """Answer GET and DELETE /v1/responses/{id}."""
    id, store = request.path_params["id"], state_of(request).responses
    if request.method != "DELETE":
        if request.query_params.get("stream", "false") != "false":
            raise unsupported("A response that is kept is not streamed again.", "stream")
        return Json(store.get(id).body)
    store.delete(id)
    return Json({"id": id, "object": "response", "deleted": True})


async def cancel_response(request: HttpRequest) -> Response:
    """Refuse POST /v1/responses/{id}/cancel: nothing runs in the background here."""
    raise invalid("Only background responses can be cancelled.")


async def list_input_items(request: HttpRequest) -> Response:
    """Answer GET /v1/responses/{id}/input_items, with `limit`, `order` and `after`."""
    kept = state_of(request).responses.get(request.path_params["id"])
    query = request.query_params
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid("order must be asc or desc.", "order")
    items = list(kept.items) if order == "asc" else list(reversed(kept.items))
    return Json(_page(items, _limit(query.get("limit")), query.get("after")))


def _limit(text: str | None) -> int:
    if text is None:
        return LISTED
    if text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST_LISTED:
        return int(text)
    raise invalid(f"limit must be a whole number from 1 to {MOST_LISTED}.", "limit")


def _page(items: list[dict[str, Any]], limit: int, after: str | None) -> dict[str, Any]:
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise invalid("after must be the id of an input item.", "after")
    start = 0 if after is None else ids.index(after) + 1
    page = items[start : start + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else "",
        "last_id": page[-1]["id"] if page else "",
        "has_more": start + limit < len(items),
    }


async def count(request: HttpRequest) -> Response:
    """Answer POST /v1/responses/input_tokens with an estimate; pictures are not counted."""
    state = state_of(request)
    asked = parse(await read_body(request), tools=state.settings.responses_tools, counting=True)
    require_model(asked.asked.model)
    previous = state.responses.get(asked.previous, "previous_response_id") if asked.previous else None
    before = previous.turns if previous else ()
    told: tuple[Turn | Message, ...] = (
        Turn("system", asked.instructions or ""),
        *before,
        *asked.asked.messages,
    )
    counted = characters(told, asked.asked.constraints())
    return Json({"object": "response.input_tokens", "input_tokens": tokens(counted)})
