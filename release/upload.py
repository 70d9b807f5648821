"""A big file into a bucket: equal parts, several at a time, straight from the file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

Progress = Callable[[int, int], None]

PART_BYTES = 8 * 1024 * 1024  # R2 and S3: at least 5 MiB
THREADS = 10  # as boto3 has: a part is in memory for 16 KiB at a time


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload to come. It shows only when complete; whatever stops it leaves nothing behind."""

    client: S3Client
    bucket: str
    key: str
    part_bytes: int = PART_BYTES
    threads: int = THREADS

    def run(
        self,
        path: Path,
        headers: Mapping[str, Any],
        conditions: Mapping[str, Any],
        on_progress: Progress | None = None,
    ) -> str:
        """Send a file that is not empty and return its etag; boto3's errors pass through.

        `headers` describe the object, `conditions` decide at the end whether it may appear.
        """
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key=self.key, **headers)["UploadId"]
        try:
            parts = self._send(path, upload, on_progress)
            answer = self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **conditions,
            )
        except BaseException:
            self._abort(upload)
            raise
        return answer["ETag"]

    def _send(self, path: Path, upload: str, on_progress: Progress | None) -> Sequence[CompletedPartTypeDef]:
        from s3transfer.utils import ReadFileChunk

        size = path.stat().st_size
        done = _Counter(size, on_progress)

        def send(number: int) -> CompletedPartTypeDef:
            with ReadFileChunk.from_filename(str(path), number * self.part_bytes, self.part_bytes) as body:
                answer = self.client.upload_part(
                    Bucket=self.bucket,
                    Key=self.key,
                    UploadId=upload,
                    PartNumber=number + 1,
                    Body=cast("IO[bytes]", body),
                )
                done.add(len(body))
            return {"PartNumber": number + 1, "ETag": answer["ETag"]}

        with ThreadPoolExecutor(self.threads) as pool:
            jobs = [pool.submit(send, number) for number in range(-(-size // self.part_bytes))]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _abort(self, upload: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=upload)
        except (BotoCoreError, ClientError):
            return  # parts never show; buckets drop them by themselves (R2: after 7 days)


class _Counter:
    """Adds up what several threads have sent."""

    def __init__(self, total: int, report: Progress | None) -> None:
        self._total, self._report, self._done = total, report, 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            if self._report:
                self._report(self._done, self._total)
