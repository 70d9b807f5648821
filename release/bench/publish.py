"""Figures of publishing: an upload beside boto3's own with its defaults, a signature beside the library's."""

from __future__ import annotations

import base64
import mmap
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from release.bench import Figure
from release.store import S3Store
from signing import eddsa

SIZE = 100 * 1024 * 1024
ROUNDS = 3
BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock and of this process's CPU."""

    wall: float
    cpu: float


def bench() -> list[Figure]:
    """Measure on 100 MB of noise: each figure is a ratio of the best of three rounds, taken in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "archive"
        file.write_bytes(os.urandom(SIZE))
        return [*_upload(file, folder / "bucket"), *_sign(file, folder / "key")]


def _upload(file: Path, folder: Path) -> list[Figure]:
    with _server(folder) as keys:
        ours, theirs = _store(keys), _plain(keys, file)
        own, default = _compare(
            lambda: ours.put("ours", file, content_type="a/b", cache_control="c", sha256="0" * 64),
            lambda: theirs("theirs"),
        )
    speed, cpu = default.wall / own.wall, own.cpu / default.cpu
    return [
        Figure(
            "upload of 100 MB, speed beside boto3's default", speed, "times", "at least 1.3", speed >= 1.3
        ),
        Figure("upload of 100 MB, client CPU beside it", cpu, "times", "at most 0.5", cpu <= 0.5),
    ]


def _sign(file: Path, path: Path) -> list[Figure]:
    eddsa.generate(path)
    key = eddsa.load(f"file:{path}", environ={})
    public = key.public_key()
    signature = eddsa.sign_file(file, key)
    raw = base64.b64decode(signature)
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        view = memoryview(data)
        sign, plain_sign = _compare(lambda: eddsa.sign_file(file, key), lambda: key.sign(view))
        verify, plain_verify = _compare(
            lambda: eddsa.verify_file(file, signature, eddsa.public_key(key)),
            lambda: public.verify(raw, view),
        )
        view.release()
    return [
        _at_most("signing 100 MB beside the library", sign.cpu / plain_sign.cpu, 1.1),
        _at_most("verifying 100 MB beside the library", verify.cpu / plain_verify.cpu, 1.1),
    ]


def _at_most(name: str, value: float, limit: float) -> Figure:
    return Figure(name, value, "times", f"at most {limit:g}", value <= limit)


def _compare(one: Callable[[], object], other: Callable[[], object]) -> tuple[Spent, Spent]:
    """Run both in turn; return the best of each, on the clock and in CPU."""
    rounds = [(_spent(one), _spent(other)) for _ in range(ROUNDS)]
    return _best([first for first, _ in rounds]), _best([second for _, second in rounds])


def _best(rounds: list[Spent]) -> Spent:
    return Spent(min(spent.wall for spent in rounds), min(spent.cpu for spent in rounds))


def _spent(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Spent(time.perf_counter() - wall, _cpu() - cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


Keys = tuple[str, str, str]


def _store(keys: Keys) -> S3Store:
    store = S3Store(endpoint=keys[0], bucket=BUCKET, access_key=keys[1], secret_key=keys[2])
    store.head("connect")
    return store


def _plain(keys: Keys, file: Path) -> Callable[[str], object]:
    """Return boto3's own upload, as it comes."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=keys[0],
        aws_access_key_id=keys[1],
        aws_secret_access_key=keys[2],
        region_name="us-east-1",
    )
    client.list_buckets()
    return lambda key: client.upload_file(str(file), BUCKET, key)


@contextmanager
def _server(folder: Path) -> Iterator[Keys]:
    """Run the bucket in a process of its own, so that its CPU is not counted as the client's."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(folder, there), daemon=True)
    process.start()
    try:
        yield here.recv()
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
