"""A stand-in for a provider with OpenAI's API, as fast as it can be: an upstream for a proxy to be measured.

`python -m release.bench.upstream` prints its URL. It answers every POST with the same text, streamed if the
body says `"stream": true`, all deltas at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

import httptools

WORDS = tuple(f"word{number:02} " for number in range(20))
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


def _chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "composer-2.5",
        "choices": [choice],
    }


def _stream() -> bytes:
    deltas = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": word}) for word in WORDS)]
    events = [f"data: {json.dumps(one)}\n\n" for one in (*deltas, _chunk({}, "stop"))]
    body = "".join(f"{len(event):x}\r\n{event}\r\n" for event in (*events, "data: [DONE]\n\n"))
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return f"{head}{body}0\r\n\r\n".encode()


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "composer-2.5"}
    data = json.dumps({**body, "choices": [choice], "usage": USAGE})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return (head + data).encode()


STREAM, WHOLE = _stream(), _whole()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Take in a request."""
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect its body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Answer it."""
        stream = json.loads(self.body or b"{}").get("stream")
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)
        self.transport.write(STREAM if stream else WHOLE)


async def serve() -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=256)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve, with uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
