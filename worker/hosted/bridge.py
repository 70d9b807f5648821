"""The bridge to Cursor's SDK, which runs elsewhere: asked over HTTP with a token, answering a line an event.

`app/bridge/src/http.mjs` is the other side. It is either a container beside the Worker (its host puts
CURSOR_SDK_BRIDGE_URL into the settings) or a machine of one's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

from app.cursor.client import Done, Output, RunFailed, Text, Thinking, ToolCalls
from app.cursor.conversation import Prompt, ToolCall
from app.cursor.frames import Tokens
from worker.ports import Ports, Refused, TimedOut, Unavailable
from worker.replies import unset

LONGEST_LINE: Final = 16 * 1024 * 1024  # bytes
_STATUS_KINDS: Final = {401: "bridge", 504: "timeout", 503: "unavailable"}


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


class _Call(msgspec.Struct):
    id: str
    name: str
    arguments: str


class _Event(msgspec.Struct):
    event: str
    text: str = ""
    calls: tuple[_Call, ...] = ()
    usage: _Usage | None = None
    kind: str = "bridge"
    message: str = ""
    retryable: bool = False


_events: Final = msgspec.json.Decoder(_Event)


class RemoteBridge:
    """Runs prompts on a bridge elsewhere, as `app.cursor.client.Bridge` does on its own."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    async def run(self, prompt: Prompt) -> AsyncGenerator[Output, None]:
        """Yield what the model says, then Done. Raises RunFailed; closing it ends the run."""
        url, headers = self._where()
        body = msgspec.json.encode(prompt.message())
        try:
            chunks = self.ports.outbound.stream("POST", url, headers=headers, body=body)
            async with contextlib.aclosing(_lines(chunks)) as lines:
                async for line in lines:
                    output = _output(_events.decode(line))
                    if output is not None:
                        yield output
                    if isinstance(output, Done):
                        return
        except Refused as refused:
            raise _failure(refused) from None
        except TimedOut:
            raise RunFailed("timeout", "the bridge has been silent for too long", retryable=True) from None
        except (Unavailable, msgspec.DecodeError, msgspec.ValidationError):
            raise RunFailed("bridge", "the bridge ended during the run", retryable=True) from None
        raise RunFailed("bridge", "the bridge ended during the run", retryable=True)

    def _where(self) -> tuple[str, dict[str, str]]:
        settings = self.ports.settings
        url, token = settings.get("CURSOR_SDK_BRIDGE_URL"), settings.get("CURSOR_SDK_BRIDGE_TOKEN")
        if not url or not token:
            raise unset("CURSOR_SDK_BRIDGE_URL and CURSOR_SDK_BRIDGE_TOKEN")
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return url.rstrip("/") + "/run", headers


async def _lines(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    rest = b""
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
            if len(rest) > LONGEST_LINE:
                raise Unavailable("the bridge sends a line without end")


def _output(event: _Event) -> Output | None:
    match event.event:
        case "text":
            return Text(0, event.text)
        case "thinking":
            return Thinking(0, event.text)
        case "calls":
            return ToolCalls(tuple(ToolCall(call.id, call.name, call.arguments) for call in event.calls))
        case "done":
            usage = event.usage
            return Done(0, None if usage is None else Tokens(**msgspec.structs.asdict(usage)))
        case "failed":
            raise RunFailed(event.kind, event.message, retryable=event.retryable)
        case _:
            return None


def _failure(refused: Refused) -> RunFailed:
    """Read why the bridge did not begin; its own 401 about our token is our affair, not the client's."""
    status, kind = refused.answer.status, _STATUS_KINDS.get(refused.answer.status, "bridge")
    try:
        error: dict[str, Any] = msgspec.json.decode(refused.answer.body)["error"]
        return RunFailed(error["kind"], error["message"], retryable=bool(error.get("retryable")))
    except (msgspec.DecodeError, KeyError, TypeError):
        return RunFailed(kind, f"the bridge answered {status}", retryable=status >= 500)
