"""Figures of the whole app: the real SDK in Bun before a stand-in for Cursor's backend, and how it starts."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from commands import Subprocess
from release import bridge
from release.bench import Figure
from release.bench.load import Load
from release.bench.parties import (
    KEY,
    ROOT,
    Party,
    cpu,
    drive,
    free_port,
    health,
    innermost,
    memory,
    module,
    ours,
    quick_bridge,
    started,
    until,
)
from release.bench.upstream import TEXT

STREAMS, DELTAS, DELAY = 64, 200, 0.05
RUNS = 60
STARTS = 15
PACED = f"[[scenario:slow count={DELTAS} delay={DELAY}]]"
SHORT = "Hello from the stand-in"

# As little as a server of this kind can be.
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def health(request): return JSONResponse({"status": "ready"})
app = Starlette(routes=[Route("/health", health)])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False, ws="none")
"""


def bench() -> list[Figure]:
    """Measure the chain and the start; the bridge is built first."""
    runner = Subprocess()
    built, runtime = bridge.build(ROOT, runner), bridge.bun(ROOT, runner)
    settings = {"CURSOR_SDK_BRIDGE_JS": str(ROOT / built), "CURSOR_SDK_BRIDGE_RUNTIME": str(runtime)}
    with contextlib.ExitStack() as stack:
        cursor = stack.enter_context(module("tests.standins.cursor", "--port", "0"))
        server = stack.enter_context(ours({**settings, "CURSOR_BACKEND_URL": cursor.url}))
        bun = innermost(server.pid)
        figures = [*_streams(cursor, server, bun), *_cost(cursor, server, bun)]
    return [*figures, *_starts(settings)]


def _streams(cursor: Party, server: Party, bun: int) -> Iterator[Figure]:
    """Many paced streams at once, each checked to its last delta, against the stand-in asked directly."""
    own = _pace(cursor, PACED, STREAMS, STREAMS)[0]
    before = cpu(bun), cpu(server.pid)
    text = "".join(f"{number} " for number in range(DELTAS))
    load = Load(_chat(server), _body(PACED, stream=True), STREAMS, STREAMS, text)
    ratio = drive(load).most / own
    count = STREAMS * DELTAS
    name = f"app: {STREAMS} streams of {DELTAS} deltas"
    yield Figure(f"{name}, of the backend's pace", ratio, "×", "≤ 1.2", ratio <= 1.2)
    yield Figure(f"{name}, SDK's CPU a delta", (cpu(bun) - before[0]) / count * 1e6, "µs", "", None)
    yield Figure(f"{name}, our CPU a delta", (cpu(server.pid) - before[1]) / count * 1e6, "µs", "", None)
    yield Figure(f"{name}, memory of Bun", memory(bun), "MB", "", None)


def _cost(cursor: Party, server: Party, bun: int) -> Iterator[Figure]:
    """What a short run takes in all, and what of it is the SDK's: less the backend's and our server's."""
    drive(Load(_chat(server), _body("Hi"), 1, RUNS // 4, SHORT))
    before = cpu(bun)
    whole = drive(Load(_chat(server), _body("Hi"), 1, RUNS, SHORT)).whole
    spent = (cpu(bun) - before) / RUNS * 1000
    backend = _pace(cursor, "Hi", 1, RUNS)[1] * 1000
    with quick_bridge() as settings, ours(settings) as quick:
        layer = drive(Load(_chat(quick), _body("Hi"), 1, RUNS * 4, TEXT)).whole
    yield Figure("app: a short run", whole, "ms", "", None)
    yield Figure("app: of that, the backend", backend, "ms", "", None)
    yield Figure("app: of that, our server", layer, "ms", "", None)
    yield Figure("app: of that, the SDK in Bun", whole - backend - layer, "ms", "", None)
    yield Figure("app: CPU of the SDK, a run", spent, "ms", "", None)


def _starts(settings: Mapping[str, str]) -> Iterator[Figure]:
    bare, first, ready = [], [], []
    for _ in range(STARTS):
        bare.append(_bare_start())
        answered, complete = _start(settings)
        first.append(answered)
        ready.append(complete)
    ratio = statistics.median(first) / statistics.median(bare)
    bridge_ready = statistics.median(ready)
    yield Figure("app: first answer of /health", statistics.median(first), "s", "", None)
    yield Figure("app: beside bare uvicorn and Starlette", ratio, "×", "≤ 1.5", ratio <= 1.5)
    yield Figure("app: bridge ready after", bridge_ready, "s", "≤ 1.5 s", bridge_ready <= 1.5)


def _bare_start() -> float:
    port = free_port()
    began = time.perf_counter()
    with started([sys.executable, "-c", BARE, str(port)]) as process:
        return _since(began, process, lambda: bool(health(port)))


def _start(settings: Mapping[str, str]) -> tuple[float, float]:
    """Give the seconds until /health answers, and until it says that the bridge is ready."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {**settings, "CURSOR_API_KEY": KEY, "API_FOR_CURSOR_DATA_DIR": folder}
        port = free_port()
        argv: list[str | Path] = [sys.executable, "-m", "app", "serve", "--port", str(port)]
        began = time.perf_counter()
        with started(argv, environment) as process:
            answered = _since(began, process, lambda: bool(health(port)))
            return answered, _since(began, process, lambda: health(port).get("status") == "ready")


def _since(began: float, process: subprocess.Popen[str], condition: Callable[[], bool]) -> float:
    until(condition, process, pause=0.002)
    return time.perf_counter() - began


def _pace(cursor: Party, prompt: str, clients: int, runs: int) -> tuple[float, float]:
    """Give the longest and the median run of the stand-in alone, in seconds."""
    words = (cursor.url, prompt, str(clients), str(runs))
    done = Subprocess().run([sys.executable, "-m", "tests.standins.pace", *words], cwd=ROOT)
    most, median = map(float, done.stdout.split())
    return most, median


def _chat(server: Party) -> str:
    return f"{server.url}/v1/chat/completions"


def _body(prompt: str, *, stream: bool = False) -> str:
    body: dict[str, Any] = {"model": "composer-2.5", "messages": [{"role": "user", "content": prompt}]}
    return json.dumps({**body, "stream": True} if stream else body)
