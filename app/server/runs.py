"""One answer from the bridge: cut where it must end, checked if it is to be JSON, with its usage.

Nothing here knows a dialect's bodies; both chat completions and Responses draw from `play`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from app.cursor.client import Bridge, Done, RunFailed, Text, Thinking, ToolCalls
from app.cursor.conversation import Prompt, ToolCall, Turn
from app.cursor.frames import Tokens
from app.discretion import discreet
from app.openai.chat import Request
from app.openai.errors import ApiError, bad_output
from app.openai.formats import correction, fault, unfenced
from app.openai.limits import Cutter, Limits
from app.openai.messages import Message
from app.openai.usage import Usage, estimate

Finish = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended. `cut` tells that it was ended here, by a stop sequence or its length."""

    finish: Finish
    usage: Usage
    cut: bool = False


Piece = str | Thinking | ToolCalls | End
Pieces = AsyncGenerator[Piece, None]


@dataclass(slots=True)
class Whole:
    """An answer put together from its pieces."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    end: End = field(default_factory=lambda: End("stop", Usage(0, 0)))


def play(bridge: Bridge, prompt: Prompt, asked: Request) -> Pieces:
    """Run `prompt`: yields text, thinking and tool calls, lastly End. Raises RunFailed or ApiError.

    JSON comes in one piece, after it was checked. Closing the generator cancels the run.
    """
    if asked.format.is_json:
        return _checked(bridge, prompt, asked)
    return _cut(bridge, prompt, asked.limits)


async def collect(pieces: Pieces) -> Whole:
    """Put an answer together."""
    whole, texts = Whole(), []
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            match piece:
                case str():
                    texts.append(piece)
                case ToolCalls():
                    whole.calls += piece.calls
                case End():
                    whole.end = piece
    whole.text = "".join(texts)
    return whole


async def _cut(bridge: Bridge, prompt: Prompt, limits: Limits) -> Pieces:
    cutter = Cutter(limits)
    size, called, tokens = 0, False, None
    async with contextlib.aclosing(bridge.run(prompt)) as events:
        async for event in events:
            match event:
                case Text(text=text):
                    out = cutter.feed(text)
                    size += len(out)
                    if out:
                        yield out
                    if cutter.ending is not None:
                        break
                case ToolCalls():
                    rest = cutter.rest()  # said before the call
                    size += len(rest)
                    called = True
                    if rest:
                        yield rest
                    yield event
                case Thinking():
                    yield event
                case Done():
                    tokens = event.usage
    rest = cutter.rest()
    if rest:
        yield rest
    finish: Finish = "tool_calls" if called else cutter.ending or "stop"
    usage = counted(tokens) or estimate(characters(prompt.turns, prompt.constraints), size + len(rest))
    yield End(finish, usage, cut=cutter.ending is not None)


async def _checked(bridge: Bridge, prompt: Prompt, asked: Request) -> Pieces:
    whole = await collect(_cut(bridge, prompt, asked.limits))
    problem = _problem(whole, asked)
    if problem is not None:
        first = whole.end.usage
        whole = await collect(_cut(bridge, _again(prompt, whole.text, problem), asked.limits))
        whole.end = dataclasses.replace(whole.end, usage=first + whole.end.usage)
        problem = _problem(whole, asked)
        if problem is not None:
            raise bad_output(problem)
    if whole.text:
        yield unfenced(whole.text)
    if whole.calls:
        yield ToolCalls(whole.calls)
    yield whole.end


def _problem(whole: Whole, asked: Request) -> str | None:
    if whole.calls or whole.end.cut:
        return None
    return fault(asked.format, unfenced(whole.text))


def _again(prompt: Prompt, text: str, problem: str) -> Prompt:
    turns = (*prompt.turns, Turn("assistant", text), Turn("user", correction(problem)))
    return dataclasses.replace(prompt, turns=turns)


def characters(said: Iterable[Turn | Message], constraints: str) -> int:
    """Count what is sent, for an estimate of its tokens."""
    return len(constraints) + sum(
        len(turn.text) + sum(len(call.arguments) for call in turn.calls) for turn in said
    )


def counted(tokens: Tokens | None) -> Usage | None:
    """Give the SDK's own counts, if it has any."""
    if tokens is None:
        return None
    prompt = tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens
    return Usage(
        prompt,
        tokens.output_tokens,
        cached=tokens.cache_read_tokens,
        written=tokens.cache_write_tokens,
        reasoning=tokens.reasoning_tokens,
    )


def api_error(failure: RunFailed) -> ApiError:
    """Translate a failed run into what an OpenAI client understands.

    What takes minutes each time, or is over until somebody pays, it shall not repeat by itself.
    """
    said = discreet(failure.message)
    message = f"Cursor: {said}"
    match failure.kind:
        case "authentication":
            return ApiError(401, message, type="authentication_error", code="cursor_unauthorized")
        case "rate_limit":
            code = "rate_limit_exceeded"
            return ApiError(429, message, type="rate_limit_error", code=code, retry=failure.retryable)
        case "request":
            return ApiError(400, message, code="cursor_rejected")
        case "timeout":
            return ApiError(504, message, type="server_error", code="cursor_sdk_timeout", retry=False)
        case "unavailable":
            return ApiError(503, message, type="server_error", code="cursor_unavailable")
        case "bridge" if failure.retryable:
            return ApiError(502, said, type="server_error", code="sdk_bridge_lost")
        case "bridge":
            return ApiError(503, said, type="server_error", code="sdk_bridge_missing")
        case _:
            return ApiError(502, message, type="server_error", code="cursor_sdk_error")


@contextlib.contextmanager
def typed() -> Iterator[None]:
    """Turn a failed run within the block into its ApiError."""
    try:
        yield
    except RunFailed as failure:
        raise api_error(failure) from None
