"""The programs that are measured, each in a process of its own, and what they take."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from commands import Runner, Subprocess
from errors import Exit, Fault
from release.bench.load import Load, Result
from release.inputs import uv
from release.inputs.cache import Cache

ROOT = Path(__file__).resolve().parents[2]
LITELLM_LOCK = ROOT / "requirements" / "bench.txt"
PATIENCE = 90.0  # seconds until a server that does not come up is given up
KEY = "key-of-the-benchmark"


@dataclass(frozen=True, slots=True)
class Party:
    """A server that runs: where its chat completions are, and its process."""

    url: str
    pid: int


@contextlib.contextmanager
def started(
    argv: list[str | Path], env: Mapping[str, str] | None = None, *, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends; what it says goes nowhere."""
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def module(name: str, *words: str) -> Iterator[Party]:
    """Run a module that prints the URL it serves."""
    with started([sys.executable, "-m", name, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise Fault(f"{name} did not start", where=ROOT)
        yield Party(url, process.pid)


@contextlib.contextmanager
def ours(settings: Mapping[str, str]) -> Iterator[Party]:
    """Run the app's server, from the time its bridge is ready; `settings` are environment variables."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {"CURSOR_API_KEY": KEY, "API_FOR_CURSOR_DATA_DIR": folder, **settings}
        port = free_port()
        with started([sys.executable, "-m", "app", "serve", "--port", str(port)], environment) as process:
            until(lambda: health(port).get("status") == "ready", process)
            yield Party(f"http://127.0.0.1:{port}", process.pid)


@contextlib.contextmanager
def quick_bridge() -> Iterator[Mapping[str, str]]:
    """Give settings that make the server use a stand-in for the bridge's process."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        program = Path(folder, "bun")
        start = (
            "import sys; sys.path.insert(0, sys.argv.pop(1)); from release.bench import quick_bridge as it"
        )
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{start}; it.main()' '{ROOT}' \"$@\"\n")
        program.chmod(0o700)
        Path(folder, "bridge.js").touch()
        yield {
            "CURSOR_SDK_BRIDGE_RUNTIME": str(program),
            "CURSOR_SDK_BRIDGE_JS": str(program.with_name("bridge.js")),
        }


@contextlib.contextmanager
def litellm(upstream: str) -> Iterator[Party]:
    """Run LiteLLM's proxy before `upstream`; raises Fault if it cannot be installed or does not come up."""
    packages = _install(Cache(), Subprocess())
    port = free_port()
    model = {"model": "openai/composer-2.5", "api_base": f"{upstream}/v1", "api_key": "none"}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        json.dump({"model_list": [{"model_name": "composer-2.5", "litellm_params": model}]}, config)
        config.flush()
        start = "from litellm import run_server; run_server()"
        words = ("--config", config.name, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False")
        environment = {
            "PYTHONPATH": str(packages),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # its own list of prices, none from the network
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
        }
        # -S: none of this environment's packages beside its own
        with started([sys.executable, "-S", "-c", start, *words], environment) as process:
            until(lambda: bool(_get(f"http://127.0.0.1:{port}/health/liveliness")), process)
            yield Party(f"http://127.0.0.1:{port}", process.pid)


def _install(cache: Cache, runner: Runner) -> Path:
    def install(folder: Path) -> None:
        words = ("--quiet", "--require-hashes", "--compile-bytecode", "--python", sys.executable)
        line: list[str | Path] = [
            uv.program(),
            "pip",
            "install",
            *words,
            "--target",
            folder,
            "-r",
            LITELLM_LOCK,
        ]
        environment = {**os.environ, "PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}
        result = uv.run(line, runner=runner, env=environment)
        if result.status:
            raise Fault("LiteLLM cannot be installed", where=LITELLM_LOCK, status=Exit.NETWORK)

    digest = hashlib.sha256(LITELLM_LOCK.read_bytes()).hexdigest()
    python = f"{sys.platform}-{sys.version_info.major}.{sys.version_info.minor}"
    return cache.derived(f"litellm-{python}-{digest}", install)


def drive(load: Load) -> Result:
    """Put `load` on a server from a process of its own. Raises Fault if any answer was wrong."""
    done = Subprocess().run(
        [sys.executable, "-m", "release.bench.load"], cwd=ROOT, stdin=json.dumps(asdict(load)).encode()
    )
    result = Result(**json.loads(done.stdout))
    if result.failed:
        what = f"{result.failed} of {load.requests} answers were wrong"
        raise Fault(what, where=load.url, details=(result.complaint,))
    return result


def until(condition: Callable[[], bool], process: subprocess.Popen[str], pause: float = 0.005) -> None:
    """Wait until `condition` holds; raises Fault if `process` ends first or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Fault("a server did not come up", where=" ".join(map(str, _line(process))))
        time.sleep(pause)


def _line(process: subprocess.Popen[str]) -> list[Any]:
    return list(process.args) if isinstance(process.args, list) else [process.args]


def health(port: int) -> dict[str, Any]:
    """Give what /health says; nothing while nobody answers."""
    body = _get(f"http://127.0.0.1:{port}/health")
    return json.loads(body) if body else {}


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return b""


def free_port() -> int:
    """Find a port that is free now."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


def memory(pid: int) -> float:
    """Give the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text("ascii").partition("VmRSS:")[2].split()[0]) / 1000
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
    return int(done.stdout) / 1000


def cpu(pid: int) -> float:
    """Give the seconds of CPU that a process has used, with those of its threads."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        fields = stat.read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    done = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, check=True, text=True)
    seconds = 0.0
    for part in done.stdout.strip().split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def innermost(pid: int) -> int:
    """Give the last of a process's line of only children: what it runs, behind whatever it is wrapped in."""
    while True:
        done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, check=False, text=True)
        if not done.stdout:
            return pid
        pid = int(done.stdout.split()[0])
