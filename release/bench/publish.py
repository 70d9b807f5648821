"""Figures of publishing: uploads beside boto3's own with its defaults and rclone's; a release twice.

The servers: one that keeps nothing (release/bench/sink.py), so that the sender is the bound; `rclone serve
s3`; and the rehearsal's, which is slower than any sender and thus tells little of them.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast.feed import Enclosure, Feed, Item
from appcast.history import Identity, put, record
from appcast.lint import AppFacts
from commands import Subprocess
from errors import Exit, Fault
from release.bench import Figure
from release.bench.parties import ROOT, free_port, module, started, until
from release.bench.upload import Job, Took
from release.inputs import uv
from release.inputs.cache import Cache
from release.objects import IMAGE_TYPE
from release.public import PublicSide
from release.publish import Publication, publish
from release.publisher import Publisher
from release.purge import nothing
from release.store import S3Store
from signing import eddsa
from signing.clock import SystemClock

SIZE = 100 * 1024 * 1024
BUCKET = "bench"
ROUNDS = 3
RCLONE_LOCK = ROOT / "requirements" / "rclone.txt"
NAME = "API-for-Cursor-1.0-1.dmg"
SITE = "https://example.test"


@dataclass(frozen=True, slots=True)
class Server:
    """An S3 server that runs."""

    endpoint: str
    access_key: str
    secret_key: str


def bench() -> list[Figure]:
    """Measure on 100 MB of noise: each figure is a ratio of the best of a few rounds, taken in turn."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        file = folder / NAME
        file.write_bytes(os.urandom(SIZE))
        rclone = _rclone()
        figures = _beside(file, _sink(), rclone, "", judged=True)
        figures += _beside(file, _rclone_server(rclone, folder / "rclone"), rclone, " to rclone's server")
        figures += _beside(file, _rehearsals(folder / "bucket"), rclone, " to the rehearsal's server")
        return [*figures, *_again(file, folder / "again")]


def _beside(
    file: Path, serving: AbstractContextManager[Server], rclone: Path, where: str, *, judged: bool = False
) -> list[Figure]:
    with serving as server:
        table = [_round(file, server, rclone) for _ in range(ROUNDS)]
    ours, boto3, theirs = map(_best, zip(*table, strict=True))
    name = f"upload of 100 MB{where}"
    speed, cpu = boto3.wall / ours.wall, ours.cpu / boto3.cpu
    figures = [
        Figure(
            f"{name}, speed beside boto3's default",
            speed,
            "times",
            *_goal(judged, "at least 1.3", speed >= 1.3),
        ),
        Figure(f"{name}, speed beside rclone", theirs.wall / ours.wall, "times", "", None),
    ]
    if judged:
        figures += [
            Figure(f"{name}, client CPU beside boto3", cpu, "times", "at most 0.5", cpu <= 0.5),
            Figure(f"{name}, client CPU beside rclone", ours.cpu / theirs.cpu, "times", "", None),
            Figure(f"{name}, memory", ours.memory, "MB", "under 100", ours.memory < 100),
            Figure(f"{name}, boto3's memory", boto3.memory, "MB", "", None),
        ]
    return figures


def _goal(judged: bool, target: str, ok: bool) -> tuple[str, bool | None]:
    return (target, ok) if judged else ("", None)


def _round(file: Path, server: Server, rclone: Path) -> tuple[Took, Took, Took]:
    access = (str(file), server.endpoint, BUCKET, server.access_key, server.secret_key)
    ours, boto3 = (_send(Job(who, *access)) for who in ("ours", "boto3"))
    return ours, boto3, _with_rclone(file, server, rclone)


def _best(rounds: tuple[Took, ...]) -> Took:
    return Took(
        min(one.wall for one in rounds), min(one.cpu for one in rounds), max(one.memory for one in rounds)
    )


def _send(job: Job) -> Took:
    line: list[str | Path] = [sys.executable, "-m", "release.bench.upload"]
    done = Subprocess().run(line, cwd=ROOT, stdin=json.dumps(asdict(job)).encode())
    return Took(**json.loads(done.stdout))


def _with_rclone(file: Path, server: Server, rclone: Path) -> Took:
    """Let rclone send it, as it comes; it looks at nothing afterwards. Its start counts: some 0.05 s."""
    words = ("--s3-no-head", "--ignore-times", "--no-check-dest", "--ignore-checksum")
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [rclone, "copyto", *words, file, f":s3:{BUCKET}/rclone"],
        env={**os.environ, **_as_rclone_has_it(server)},
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Fault("rclone did not send it", where=server.endpoint, details=(done.stderr[-300:],))
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0)


def _as_rclone_has_it(server: Server) -> Mapping[str, str]:
    return {
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": server.endpoint,
        "RCLONE_S3_ACCESS_KEY_ID": server.access_key,
        "RCLONE_S3_SECRET_ACCESS_KEY": server.secret_key,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }


def _again(file: Path, folder: Path) -> list[Figure]:
    """Publish a release, and once more: how long that takes, and how many bytes of bodies it sends."""
    from release.rehearsal.bucket import Bucket

    sent: list[int] = []
    with Bucket(folder, BUCKET) as bucket:
        store = bucket.store()
        publish = _publishing(file, store)
        publish()
        store._client.meta.events.register(
            "before-send.s3", lambda request, **_: sent.append(int(request.headers.get("Content-Length", 0)))
        )
        seconds = min(_timed(publish) for _ in range(3))
    return [
        Figure("a release published again", seconds, "s", "at most 1", seconds <= 1),
        Figure("a release published again, body sent", sum(sent), "bytes", "0", not any(sent)),
        Figure("a release published again, requests", len(sent) / 3, "", "", None),
    ]


def _publishing(file: Path, store: S3Store) -> Callable[[], object]:
    """Return what publishes a release with one image, by a key and a maintainer made up for that."""
    key = Ed25519PrivateKey.generate()
    public = eddsa.public_key(key)
    enclosure = Enclosure(f"{SITE}/releases/{NAME}", SIZE, IMAGE_TYPE, signature=eddsa.sign_file(file, key))
    now = datetime.now(UTC).replace(microsecond=0)
    item = Item("1", "1.0", published=now, enclosure=enclosure, minimum_system_version="13.0.0")

    def merge(before: Feed | None) -> Feed:
        feed = put(before or Feed("API for Cursor"), item, now)
        return record(feed, Identity(public, hashlib.sha256().hexdigest(), "TEAM", "1", "1"))

    side = PublicSide(
        store,
        SITE,
        "API-for-Cursor-latest.dmg",
        (public,),
        lambda: (key,),
        Publisher("bench"),
        nothing,
        SystemClock(),
    )
    release = Publication("1.0", "1", file, item, AppFacts("1", "13.0", public), merge)
    return lambda: publish(side, release)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def _sink() -> Iterator[Server]:
    with module("release.bench.sink") as party:
        yield Server(party.url, "anybody", "anything")


@contextmanager
def _rclone_server(rclone: Path, folder: Path) -> Iterator[Server]:
    (folder / BUCKET).mkdir(parents=True)
    server = Server(f"http://127.0.0.1:{free_port()}", "bench", "of-this-run")
    address = server.endpoint.removeprefix("http://")
    words = ("--addr", address, "--auth-key", f"{server.access_key},{server.secret_key}")
    with started([rclone, "serve", "s3", folder, *words], {"RCLONE_CONFIG": os.devnull}) as process:
        until(lambda: _listens(address), process)
        yield server


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def _rehearsals(folder: Path) -> Iterator[Server]:
    """Run the rehearsal's bucket in a process of its own, as it holds Python's lock for most of the time."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(folder, there), daemon=True)
    process.start()
    try:
        yield Server(*here.recv())
        here.send("stop")
    finally:
        process.join(10)
        if process.is_alive():
            process.kill()


def _serve(folder: Path, pipe: Connection) -> None:
    from release.rehearsal.bucket import Bucket

    with Bucket(folder, BUCKET) as bucket:
        pipe.send((bucket.endpoint, bucket.access_key, bucket.secret_key))
        pipe.recv()


def _rclone() -> Path:
    """Return rclone, of the version that its lock pins; raises Fault if it cannot be installed."""

    def install(folder: Path) -> None:
        words = ("pip", "install", "--quiet", "--require-hashes", "--target", folder, "-r", RCLONE_LOCK)
        if uv.run([uv.program(), *words], runner=Subprocess()).status:
            raise Fault("rclone cannot be installed", where=RCLONE_LOCK, status=Exit.NETWORK)

    digest = hashlib.sha256(RCLONE_LOCK.read_bytes()).hexdigest()
    return Cache().derived(f"rclone-{sys.platform}-{digest}", install) / "bin/rclone"
