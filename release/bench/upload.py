"""One upload in a process of its own, so that its CPU and memory can be told.

`python -m release.bench.upload` reads a Job from standard input and writes what it took, both JSON. What
comes before the upload (imports, the first connection) is not counted.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """What to send where; `who` is "ours" or "boto3"."""

    who: str
    file: str
    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds on the clock and of the CPU, and the most memory in MB, imports included."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Do one job."""
    job = Job(**json.load(sys.stdin))
    work = _ours(job) if job.who == "ours" else _boto3(job)
    wall, cpu = time.perf_counter(), _cpu()
    work()
    took = Took(time.perf_counter() - wall, _cpu() - cpu, _memory())
    sys.stdout.write(json.dumps(asdict(took)))


def _ours(job: Job) -> Callable[[], object]:
    """Return our upload; the file's SHA-256 is known, as it is to whoever publishes."""
    from release.store import S3Store

    store = S3Store(
        endpoint=job.endpoint, bucket=job.bucket, access_key=job.access_key, secret_key=job.secret_key
    )
    store.head("connect")
    return lambda: store.put(
        "ours", Path(job.file), content_type="a/b", cache_control="no-store", sha256="0" * 64
    )


def _boto3(job: Job) -> Callable[[], object]:
    """Return boto3's own upload, as it comes."""
    import boto3
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3",
        endpoint_url=job.endpoint,
        aws_access_key_id=job.access_key,
        aws_secret_access_key=job.secret_key,
        region_name="us-east-1",
    )
    with suppress(ClientError):  # it is not there, but the connection is
        client.head_object(Bucket=job.bucket, Key="connect")
    return lambda: client.upload_file(job.file, job.bucket, "boto3")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would tell of what the parent had, too
        return int(status.read_text("ascii").partition("VmHWM:")[2].split()[0]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
