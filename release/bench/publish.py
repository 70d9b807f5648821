"""Figures of publishing: an upload beside boto3's own with its defaults."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from release.bench import Figure
from release.bench.timing import compare
from release.store import S3Store

SIZE = 100 * 1024 * 1024
BUCKET = "bench"


def bench() -> list[Figure]:
    """Measure on 100 MB of noise: each figure is a ratio of the best of three rounds, taken in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "archive"
        file.write_bytes(os.urandom(SIZE))
        return _upload(file, folder / "bucket")


def _upload(file: Path, folder: Path) -> list[Figure]:
    with _server(folder) as keys:
        ours, theirs = _store(keys), _plain(keys, file)
        own, default = compare(
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
