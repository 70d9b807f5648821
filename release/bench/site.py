"""Figures of the download site on one machine: beside nginx, which serves the same files in the same run.

wrk asks, from a process of its own; both servers have one worker, so that one core is left for it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from errors import Exit, Fault
from release.bench import Figure
from release.bench.parties import cpu, free_port, started

SIZE = 100 * 1024 * 1024
FEED = 3000  # bytes, as ours has
SECONDS = 4
ROUNDS = 3
IMAGE_PATH, FEED_PATH = "/releases/API-for-Cursor-1.0.0-1.dmg", "/appcast.xml"
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """What one run of wrk got: requests and bytes a second, the server's CPU seconds a gigabyte."""

    requests: float
    bytes: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and the process that does its work."""

    url: str
    pid: int

    def peak(self) -> float:
        """The most memory that it ever had, in MB."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


def bench() -> list[Figure]:
    """Measure: each figure is a ratio of the best of three rounds, taken in turn."""
    for program in ("nginx", "wrk"):
        if not shutil.which(program):
            cure = "install nginx and wrk (Debian has both), or leave this benchmark out"
            raise Fault(f"{program} is not here", cure=cure, status=Exit.USAGE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker is another user if root starts it
        root = _files(folder / "root")
        with _site(folder, root) as ours, _nginx(folder, root) as theirs:
            return [*_images(ours, theirs), *_feed(ours, theirs)]


def _images(ours: Server, theirs: Server) -> list[Figure]:
    own, plain = _best(ours, theirs, IMAGE_PATH, clients=4)
    _ask(ours, IMAGE_PATH, clients=32)
    speed, cpu, peak = own.bytes / plain.bytes, own.cpu / plain.cpu, ours.peak()
    return [
        Figure("a 100 MB image, speed beside nginx", speed, "times", "at least 0.8", speed >= 0.8),
        Figure("a 100 MB image, CPU a GB beside nginx", cpu, "times", "at most 2", cpu <= 2),
        Figure("memory after 32 downloads at once", peak, "MB", "under 120", peak < 120),
    ]


def _feed(ours: Server, theirs: Server) -> list[Figure]:
    own, plain = _best(ours, theirs, FEED_PATH, clients=16)
    rate = own.requests / plain.requests
    return [
        Figure("the feed, requests a second beside nginx", rate, "times", "at least 0.3", rate >= 0.3),
        Figure("the feed", own.requests, "requests/s", "", None),
    ]


def _best(ours: Server, theirs: Server, path: str, clients: int) -> tuple[Served, Served]:
    rounds = [[_ask(server, path, clients) for server in (ours, theirs)] for _ in range(ROUNDS)]
    first, second = (list(column) for column in zip(*rounds, strict=True))
    return _best_of(first), _best_of(second)


def _best_of(rounds: list[Served]) -> Served:
    return Served(
        max(one.requests for one in rounds), max(one.bytes for one in rounds), min(one.cpu for one in rounds)
    )


def _ask(server: Server, path: str, clients: int) -> Served:
    before = cpu(server.pid)
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{SECONDS}s", "--timeout", "30s", server.url + path]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if re.search(r"Non-2xx|Socket errors: connect [1-9]", said):
        raise Fault(f"{server.url} did not serve {path}", details=tuple(said.splitlines()))
    spent, total = cpu(server.pid) - before, _amount(r"in [\d.]+\w+, ([\d.]+)([KMG]?)B read", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return Served(
        float(rate[1]) if rate else 0.0,
        _amount(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", said),
        spent / (total / 1e9),
    )


def _amount(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    return float(found[1]) * UNITS[found[2]] if found else 0.0


def _files(root: Path) -> Path:
    (root / "releases").mkdir(parents=True)
    (root / IMAGE_PATH[1:]).write_bytes(os.urandom(SIZE))
    (root / FEED_PATH[1:]).write_bytes(b"<rss>" + b"x" * (FEED - 5))
    return root


@contextmanager
def _site(folder: Path, root: Path) -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "worker.hosts.local", "--port", str(port)]
    argv += ["--data", str(folder / "data"), "--releases", str(root), "--vars", str(folder / "none")]
    with started(list[str | Path](argv)) as process:
        _wait(port)
        yield Server(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def _nginx(folder: Path, root: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, root=root))
    with started(["nginx", "-c", config, "-p", folder]) as process:
        _wait(port)
        yield Server(f"http://127.0.0.1:{port}", _child(process.pid))


def _child(pid: int) -> int:
    """Find nginx's worker, a child of its master."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Fault("a server did not come up")
