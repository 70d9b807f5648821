"""A stand-in for the bridge's process that answers at once, to measure what lies before it.

It speaks what app/cursor/frames.py reads: started like the bridge, with a socket and a token in its
environment, it answers every run with the words of release.bench.upstream. First it is asked its `--version`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from release.bench.upstream import WORDS

USAGE = {"inputTokens": 10, "outputTokens": 20, "cacheReadTokens": 0, "cacheWriteTokens": 0}
ANSWER = [{"event": "text", "text": word} for word in WORDS] + [{"event": "done", "usage": USAGE}]


def frame(message: dict[str, Any]) -> bytes:
    """Frame one message: four bytes of length, then JSON."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


# A frame per event, cut where the run's number goes; numbers are padded so that lengths stay the same.
PARTS = [frame({"id": "NUMBER..", **event}).split(b'"NUMBER.."') for event in ANSWER]


def answer(number: int) -> bytes:
    """Give the events of run `number`."""
    text = f"{number:10}".encode()
    return b"".join(head + text + tail for head, tail in PARTS)


async def serve() -> None:
    """Connect back to the app and answer until it hangs up."""
    reader, writer = await asyncio.open_unix_connection(os.environ["CURSOR_SDK_BRIDGE_SOCKET"])
    token = os.environ["CURSOR_SDK_BRIDGE_TOKEN"]
    writer.write(frame({"event": "ready", "token": token, "runtime": "bun", "version": "0.0.0"}))
    while True:
        size = int.from_bytes(await reader.readexactly(4), "big")
        message = json.loads(await reader.readexactly(size))
        if message["op"] == "run":
            writer.write(answer(message["id"]))


def main() -> None:
    """Say a version, or be a bridge."""
    if "--version" in sys.argv:
        sys.stdout.write("0.0.0\n")
        return
    import uvloop

    try:
        uvloop.run(serve())
    except asyncio.IncompleteReadError:
        return


if __name__ == "__main__":
    main()
