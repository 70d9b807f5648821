"""The bucket: a small object store over S3's API, the same on Cloudflare R2 and on any other S3.

A single put carries the SHA-256 of its content as a header, so what arrives damaged is refused. What goes in
parts (of equal size, as R2 wants them) is not hashed again on the way: read it back before relying on it.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

from errors import Exit, Fault
from release import s3
from release.s3 import Absent, Changed
from release.upload import PART_BYTES, THREADS, Progress, Upload

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

SINGLE_BYTES = 16 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")  # what a header's value carries as it is


@dataclass(frozen=True, slots=True)
class Object:
    """What a store knows of an object. `size` in bytes; `etag` with its quotes, as HTTP has it.

    `sha256` is what the writer declared (hex), a claim and not a proof. `metadata` is what else the writer
    noted: lower-case names, any text.
    """

    key: str
    size: int
    etag: str
    modified: datetime | None = None
    content_type: str = ""
    cache_control: str = ""
    disposition: str | None = None
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


class Store(Protocol):
    """One bucket. All methods raise Fault: NETWORK, SECRET (refused), CONFLICT (`Changed`), PUBLISH."""

    def head(self, key: str) -> Object | None:
        """Return what is known of an object, None if there is none."""
        ...

    def get(self, key: str) -> tuple[Object, bytes] | None:
        """Return a small object whole, None if there is none."""
        ...

    def open(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Stream an object's bytes from `start` to before `end`, in chunks of at most 1 MiB."""
        ...

    def put(
        self,
        key: str,
        body: Path | bytes,
        *,
        content_type: str,
        cache_control: str,
        disposition: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
    ) -> str:
        """Write an object whole or not at all; return its etag.

        `if_match` (an etag) replaces only that very object, `if_none_match="*"` only creates. `sha256` saves
        hashing the body again. `metadata` is kept with the object: names of lower-case letters, digits and
        hyphens; 2 KB in all.
        """
        ...

    def copy(
        self,
        source: Object,
        key: str,
        *,
        content_type: str,
        cache_control: str,
        disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Copy within the bucket, without moving bytes here; only if `source` is still the same.

        Headers and `metadata` are the copy's own, nothing of them comes from `source` but `sha256`.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[Object]:
        """List objects by key; only key, size, etag and modified are filled in."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is fine."""
        ...


class S3Store:
    """A bucket behind an S3 endpoint. Safe to use from several threads; connects at the first request."""

    def __init__(
        self,
        *,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = "auto",
        part_bytes: int = PART_BYTES,
        threads: int = THREADS,
    ) -> None:
        self.bucket = bucket
        self.endpoint = endpoint
        self._region = region
        self._keys = (access_key, secret_key)
        self._part_bytes = part_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._made: S3Client | None = None

    def __repr__(self) -> str:
        return f"S3Store({self.endpoint}, {self.bucket})"

    def head(self, key: str) -> Object | None:
        """See Store."""
        try:
            with self._faults(key):
                return _object(key, self._client.head_object(Bucket=self.bucket, Key=key))
        except Absent:
            return None

    def get(self, key: str) -> tuple[Object, bytes] | None:
        """See Store."""
        try:
            with self._faults(key):
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
                with closing(answer["Body"]) as body:
                    return _object(key, answer), body.read()
        except Absent:
            return None

    @contextmanager
    def open(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> Iterator[Iterator[bytes]]:
        """See Store; raises Changed if the object is gone or another one than `if_match`."""
        if end is not None and end <= start:
            yield iter(())
            return
        wanted: dict[str, Any] = {}
        if start or end is not None:
            wanted["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if if_match:
            wanted["IfMatch"] = if_match
        try:
            with self._faults(key):
                answer = self._client.get_object(Bucket=self.bucket, Key=key, **wanted)
        except Absent as error:
            raise Changed("the object is not there", where=self._where(key)) from error
        with closing(answer["Body"]) as body:
            yield self._chunks(key, body)

    def put(
        self,
        key: str,
        body: Path | bytes,
        *,
        content_type: str,
        cache_control: str,
        disposition: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
    ) -> str:
        """See Store. Files over 16 MiB go in equal parts, several at a time, straight from the file."""
        digest = sha256 or digest_of(body)
        headers = _headers(content_type, cache_control, disposition, digest, metadata)
        conditions = _conditions(if_match, if_none_match)
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        try:
            with self._faults(key):
                if isinstance(body, Path) and size > SINGLE_BYTES:
                    upload = Upload(self._client, self.bucket, key, self._part_bytes, self._threads)
                    return upload.run(body, headers, conditions, on_progress)
                etag = self._put_whole(key, body, digest, headers, conditions)
        except (Absent, Changed) as error:
            etag = self._written(key, digest, size) if error.retried else ""
            if not etag and isinstance(error, Changed):
                raise
            if not etag:  # the answer to If-Match when nothing is there
                raise Changed("the object to replace is gone", where=self._where(key)) from error
        if on_progress:
            on_progress(size, size)
        return etag

    def copy(
        self,
        source: Object,
        key: str,
        *,
        content_type: str,
        cache_control: str,
        disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """See Store."""
        try:
            with self._faults(key):
                answer = self._client.copy_object(
                    Bucket=self.bucket,
                    Key=key,
                    CopySource={"Bucket": self.bucket, "Key": source.key},
                    CopySourceIfMatch=source.etag,
                    MetadataDirective="REPLACE",
                    **_headers(content_type, cache_control, disposition, source.sha256, metadata),
                )
        except Absent as error:
            raise Changed("the object to copy is gone", where=self._where(source.key)) from error
        return answer["CopyObjectResult"].get("ETag", "")

    def list(self, prefix: str = "") -> Iterator[Object]:
        """See Store."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with self._faults(prefix):
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield Object(
                        entry.get("Key", ""),
                        entry.get("Size", 0),
                        entry.get("ETag", ""),
                        entry.get("LastModified"),
                    )

    def delete(self, key: str) -> None:
        """See Store."""
        with self._faults(key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def _chunks(self, key: str, body: StreamingBody) -> Iterator[bytes]:
        with self._faults(key):  # around the reading alone: what is done with a chunk is the caller's affair
            chunk = body.read(CHUNK_BYTES)
        while chunk:
            yield chunk
            with self._faults(key):
                chunk = body.read(CHUNK_BYTES)

    def _put_whole(
        self, key: str, body: Path | bytes, digest: str, headers: dict[str, Any], conditions: dict[str, Any]
    ) -> str:
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        with _reader(body) as data:
            answer = self._client.put_object(
                Bucket=self.bucket, Key=key, Body=data, ChecksumSHA256=checksum, **headers, **conditions
            )
        return answer["ETag"]

    def _written(self, key: str, digest: str, size: int) -> str:
        """Return the object's etag if it is what was to be put.

        When an answer is lost, boto3 sends the request again, and the condition fails on our own object (or
        the upload in parts is over and unknown).
        """
        found = self.head(key)
        return found.etag if found and (found.sha256, found.size) == (digest, size) else ""

    @property
    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                self._made = s3.client(
                    self.endpoint, *self._keys, self._region, connections=self._threads + 2
                )
            return self._made

    def _where(self, key: str) -> str:
        return f"{self.endpoint}/{self.bucket}/{key}"

    def _faults(self, key: str) -> AbstractContextManager[None]:
        return s3.faults(self._where(key))


def digest_of(body: Path | bytes) -> str:
    """Return the SHA-256 of a file or of bytes, hex."""
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    try:
        with body.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Fault(
            f"the file cannot be read: {error.strerror}", where=body, status=Exit.INPUT_MISSING
        ) from error


@contextmanager
def _reader(body: Path | bytes) -> Iterator[Any]:
    if isinstance(body, bytes):
        yield body
        return
    with body.open("rb") as file:
        yield file


def _headers(
    content_type: str,
    cache_control: str,
    disposition: str | None,
    sha256: str | None,
    metadata: Mapping[str, str] | None,
) -> dict[str, Any]:
    headers: dict[str, Any] = {"ContentType": content_type, "CacheControl": cache_control}
    if disposition:
        headers["ContentDisposition"] = disposition
    noted = {name: quote(value, safe=_PLAIN) for name, value in (metadata or {}).items()}
    if sha256:
        noted["sha256"] = sha256
    if noted:
        headers["Metadata"] = noted
    return headers


def _conditions(if_match: str | None, if_none_match: str | None) -> dict[str, Any]:
    given = {"IfMatch": if_match, "IfNoneMatch": if_none_match}
    return {name: value for name, value in given.items() if value is not None}


def _object(key: str, answer: Mapping[str, Any]) -> Object:
    noted = {name.lower(): unquote(value) for name, value in answer.get("Metadata", {}).items()}
    return Object(
        key=key,
        size=answer["ContentLength"],
        etag=answer["ETag"],
        modified=answer.get("LastModified"),
        content_type=answer.get("ContentType", ""),
        cache_control=answer.get("CacheControl", ""),
        disposition=answer.get("ContentDisposition"),
        sha256=noted.pop("sha256", None),
        metadata=MappingProxyType(noted),
    )
