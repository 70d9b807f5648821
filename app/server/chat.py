"""POST /v1/chat/completions and POST /v1/completions."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from app.cursor.client import RunFailed, ToolCalls
from app.cursor.conversation import Prompt
from app.openai import chat, legacy, sse
from app.openai.chat import Request
from app.openai.completion import Answer, OldAnswer, stream_error
from app.openai.errors import ApiError
from app.openai.usage import chat_usage
from app.server.answers import Json
from app.server.asking import make_prompt, read_body, session_of
from app.server.presence import EventStream, unless_left
from app.server.runs import End, Piece, Pieces, api_error, collect, play, typed
from app.server.state import state_of
from app.server.visits import note

Bodies = Answer | OldAnswer


async def create_completion(request: HttpRequest) -> Response:
    """Answer a chat completion, streamed or not."""
    return await _answer(request, chat.parse, Answer, "chatcmpl")


async def create_old_completion(request: HttpRequest) -> Response:
    """Answer a completion of the old kind."""
    return await _answer(request, legacy.parse, OldAnswer, "cmpl")


async def _answer(
    request: HttpRequest, parse: Callable[[bytes], Request], bodies: type[Bodies], prefix: str
) -> Response:
    asked = parse(await read_body(request))
    prompt = await make_prompt(request, asked, session_of(request))
    note(request, model=prompt.model.id, stream=asked.stream)
    answer = bodies(f"{prefix}-{secrets.token_hex(14)}", int(time.time()), prompt.model.id)
    pieces = play(state_of(request).bridge, prompt, asked)
    if asked.stream:
        return await _streamed(request, asked, prompt, answer, pieces)
    return await _whole(request, prompt, answer, pieces)


async def _whole(request: HttpRequest, prompt: Prompt, answer: Bodies, pieces: Pieces) -> Response:
    with typed():
        whole = await unless_left(request, collect(pieces))
    usage = chat_usage(whole.end.usage, prompt.model.price)
    note(request, usage=whole.end.usage, price=prompt.model.price)
    return Json(answer.whole(whole.text, whole.calls, whole.end.finish, usage))


async def _streamed(
    request: HttpRequest, asked: Request, prompt: Prompt, answer: Bodies, pieces: Pieces
) -> Response:
    """Wait for the first output before the status is sent: until then a failure has a status of its own."""
    with typed():
        first = await unless_left(request, anext(pieces))
    return EventStream(_chunks(request, asked, prompt, answer, first, pieces))


async def _chunks(
    request: HttpRequest, asked: Request, prompt: Prompt, answer: Bodies, first: Piece, pieces: Pieces
) -> AsyncGenerator[bytes, None]:
    opening = answer.opening()
    if opening is not None:
        yield sse.event(opening)
    async with contextlib.aclosing(continued(first, pieces)) as events:
        try:
            async for piece in events:
                match piece:
                    case str():
                        yield sse.event(answer.text(piece))
                    case ToolCalls():
                        called = answer.calls(piece.calls)
                        if called is not None:
                            yield sse.event(called)
                    case End():
                        note(request, usage=piece.usage, price=prompt.model.price)
                        yield sse.event(answer.closing(piece.finish))
                        if asked.include_usage:
                            yield sse.event(answer.usage(chat_usage(piece.usage, prompt.model.price)))
        except (RunFailed, ApiError) as failure:
            error = failure if isinstance(failure, ApiError) else api_error(failure)
            note(request, error=error.code)
            yield sse.event(stream_error(error), "error")
            return
    yield sse.DONE


async def continued(first: Piece, pieces: Pieces) -> Pieces:
    """Put a piece that was already drawn back in front."""
    async with contextlib.aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
