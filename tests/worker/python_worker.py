"""The same site as Cloudflare's Python Worker, with wrangler's own bucket and database: see pyodide/host.mjs.

What Cloudflare serves is put together as for a deployment and runs in the CPython (Pyodide) and with the SDK
that Python Workers have. workerd itself is not there: it fetches its CPython from the network when it starts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import shutil
import site as python_site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from commands import Subprocess
from errors import Fault
from release import inputs, site
from release.wrangler import QUIET, Wrangler, wrangler

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent / "pyodide"
LOCK: Final = ROOT / "requirements/pyodide.txt"
PLATFORM: Final = ("--python-version", "3.14", "--implementation", "cp", "--abi", "cp314",
                   "--platform", "pyemscripten_2026_0_wasm32")  # fmt: skip
PATIENCE: Final = 180.0  # seconds until a host that does not come up is given up


class PythonWorker:
    """A host that runs. One at a time serves all tests: what is in bucket and database goes between two."""

    def __init__(self, port: int, control: int) -> None:
        self.port = port
        self._control = f"http://127.0.0.1:{control}"
        self._session = requests.Session()
        self.holds = ""  # what was put there for several tests
        self.folder: Path | None = None  # of the test that it is used by

    def reset(self, settings: Mapping[str, str], without: Sequence[str], *, keep: bool) -> None:
        """Begin anew, with other settings, without some of the bindings; `keep` what is in the others."""
        self.holds = ""
        self.tell("reset", settings=dict(settings), without=list(without), keep=keep)

    def put(self, key: str, data: bytes) -> None:
        """Put an object into the bucket."""
        self.tell("put", key=key, data=base64.b64encode(data).decode())

    def tell(self, deed: str, **words: Any) -> Any:
        """Let the host do something to the Worker's surroundings; give what it answers."""
        answer = self._session.post(f"{self._control}/{deed}", json=words, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def python_worker(folder: Path, state: Path | None = None) -> Iterator[PythonWorker]:
    """Run one, on the bucket and database of `state`. Skips the test where its parts cannot be had."""
    try:
        tool = wrangler(ROOT, Subprocess())
        line = _line(tool, folder, state or folder / "state")
    except Fault as fault:
        pytest.skip(f"no Python Worker here: {fault.what}")
    with (folder / "host.log").open("wb") as log, _started(line, folder, log) as process:
        yield PythonWorker(*_ports(process, folder / "host.log"))


@contextmanager
def _started(line: Sequence[str], folder: Path, log: Any) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **QUIET}
    pipe = subprocess.PIPE
    process = subprocess.Popen(line, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=log)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it ends itself, and workerd with it
        process.wait(30)


def _ports(process: subprocess.Popen[bytes], log: Path) -> tuple[int, int]:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    words = process.stdout.readline().split() if ready else []
    if len(words) != 2:
        raise RuntimeError(f"the Python Worker did not come up:\n{log.read_text()[-3000:]}")
    return int(words[0]), int(words[1])


def _line(tool: Wrangler, folder: Path, state: Path) -> list[str]:
    checkout = copied(folder / "checkout")
    built = site.build(checkout)
    site.migrate(checkout, Subprocess(), "local", state)
    config = folder / "wrangler.json"
    bindings = ("name", "compatibility_date", "r2_buckets", "d1_databases")
    config.write_text(json.dumps({name: site.settings(checkout)[name] for name in bindings}))
    modules = inputs.bridge_modules(inputs.Cache(), HERE, runner=Subprocess(), required=["pyodide"])
    options = {
        "config": config,
        "packages": packages(),
        "pyodide": modules / "pyodide",
        "shared": python_site.getsitepackages()[0],
        "source": built.parent / "src",
        "state": state,
        "wrangler": Path(tool.argv[1]).parents[2],
    }
    return [
        tool.argv[0],
        str(HERE / "host.mjs"),
        json.dumps({name: str(one) for name, one in options.items()}),
    ]


def copied(folder: Path) -> Path:
    """Copy what a deployment is put together from, so that nothing is written beside the source."""
    for name in ("worker", "app", "requirements"):
        ignore = shutil.ignore_patterns("__pycache__", "node_modules", ".dev.vars", ".wrangler")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    return folder


def packages() -> Path:
    """Give Cloudflare's SDK for Python and msgspec for WebAssembly. Raises Fault."""

    def install(folder: Path) -> None:
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder)]
        line += ["--no-deps", "--only-binary=:all:", "--require-hashes", *PLATFORM, "-r", str(LOCK)]
        done = Subprocess().run(line, check=False)
        if done.status:
            raise Fault("its packages cannot be installed", details=tuple(done.text.splitlines()[-5:]))

    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return inputs.Cache().derived(f"python-worker {' '.join(PLATFORM)} {digest}", install)


@contextmanager
def one_for_all() -> Iterator[PythonWorker]:
    """Run one in a folder of its own."""
    with tempfile.TemporaryDirectory() as name, python_worker(Path(name)) as running:
        yield running
