"""POST /v1/chat/completions."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.cursor.client import Output, Prompt, RunFailed, Turn
from app.cursor.frames import Done, Text, Tokens
from app.cursor.models import resolve
from app.openai import sse
from app.openai.chat import Answer, ChatRequest, parse, stream_error
from app.openai.errors import ApiError, no_such_model
from app.openai.usage import Usage, chat_usage, estimate
from app.server.answers import Json
from app.server.presence import EventStream, unless_left
from app.server.state import State, state_of

NO_KEY = "No Cursor API key is set. Set CURSOR_API_KEY (cursor.com, Settings, API Keys) and start again."

Run = AsyncGenerator[Output, None]


async def create_completion(request: Request) -> Response:
    """Answer a chat completion, streamed or not."""
    require_json(request)
    chat = parse(await request.body())
    model = resolve(chat.model)
    if model is None:
        raise no_such_model(chat.model or "")
    turns = tuple(Turn(message.role, message.text) for message in chat.messages)
    prompt = Prompt(model, require_key(state_of(request)), turns)
    answer = Answer(f"chatcmpl-{secrets.token_hex(14)}", int(time.time()), model.id)
    output = state_of(request).bridge.run(prompt)
    if chat.stream:
        return await _streamed(request, chat, prompt, answer, output)
    return await _whole(request, prompt, answer, output)


def require_json(request: Request) -> None:
    """Refuse a body that does not say it is JSON: 415. A web page cannot say so without a preflight."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(415, "Content-Type must be application/json.")


def require_key(state: State) -> str:
    """Give the Cursor key, or refuse: 401. What a client sends as its key is never used."""
    if state.settings.key is None:
        raise ApiError(401, NO_KEY, type="authentication_error", code="missing_api_key")
    return state.settings.key


def api_error(failure: RunFailed) -> ApiError:
    """Translate a failed run into what an OpenAI client understands."""
    message = f"Cursor: {failure.message}"
    match failure.kind:
        case "authentication":
            return ApiError(401, message, type="authentication_error", code="cursor_unauthorized")
        case "rate_limit":
            return ApiError(429, message, type="rate_limit_error", code="rate_limit_exceeded")
        case "request":
            return ApiError(400, message, code="cursor_rejected")
        case "timeout":
            return ApiError(504, message, type="server_error", code="cursor_sdk_timeout")
        case "unavailable":
            return ApiError(503, message, type="server_error", code="cursor_unavailable")
        case "bridge" if failure.retryable:
            return ApiError(502, failure.message, type="server_error", code="sdk_bridge_lost")
        case "bridge":
            return ApiError(503, failure.message, type="server_error", code="sdk_bridge_missing")
        case _:
            return ApiError(502, message, type="server_error", code="cursor_sdk_error")


async def _whole(request: Request, prompt: Prompt, answer: Answer, output: Run) -> Response:
    try:
        text, tokens = await unless_left(request, _collect(output))
    except RunFailed as failure:
        raise api_error(failure) from None
    return Json(answer.completion(text, _usage(prompt, text, tokens)))


async def _collect(output: Run) -> tuple[str, Tokens | None]:
    pieces: list[str] = []
    tokens: Tokens | None = None
    async with contextlib.aclosing(output) as events:
        async for event in events:
            match event:
                case Text():
                    pieces.append(event.text)
                case Done():
                    tokens = event.usage
    return "".join(pieces), tokens


async def _streamed(
    request: Request, chat: ChatRequest, prompt: Prompt, answer: Answer, output: Run
) -> Response:
    """Wait for the first output before the status is sent: until then a failure has a status of its own."""
    try:
        first = await unless_left(request, anext(output))
    except RunFailed as failure:
        raise api_error(failure) from None
    return EventStream(_chunks(chat, prompt, answer, first, output))


async def _chunks(
    chat: ChatRequest, prompt: Prompt, answer: Answer, first: Output, output: Run
) -> AsyncGenerator[bytes, None]:
    pieces: list[str] = []
    yield sse.event(answer.chunk({"role": "assistant", "content": ""}))
    async with contextlib.aclosing(_rest(first, output)) as events:
        try:
            async for event in events:
                match event:
                    case Text():
                        pieces.append(event.text)
                        yield sse.event(answer.chunk({"content": event.text}))
                    case Done():
                        yield sse.event(answer.chunk({}, "stop"))
                        if chat.include_usage:
                            usage = _usage(prompt, "".join(pieces), event.usage)
                            yield sse.event(answer.usage_chunk(usage))
        except RunFailed as failure:
            yield sse.event(stream_error(api_error(failure)), "error")
            return
    yield sse.DONE


async def _rest(first: Output, output: Run) -> Run:
    async with contextlib.aclosing(output):
        yield first
        async for event in output:
            yield event


def _usage(prompt: Prompt, text: str, tokens: Tokens | None) -> dict[str, Any]:
    return chat_usage(
        _counted(tokens) or estimate("".join(turn.text for turn in prompt.turns), text), prompt.model.price
    )


def _counted(tokens: Tokens | None) -> Usage | None:
    if tokens is None:
        return None
    prompt = tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens
    return Usage(
        prompt, tokens.output_tokens, cached=tokens.cache_read_tokens, reasoning=tokens.reasoning_tokens
    )
