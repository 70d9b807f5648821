"""A bucket in memory that keeps the Store's promises; the same tests run on it and on a real S3 server."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from release.s3 import Changed
from release.store import Object
from release.upload import Progress


def _at(number: int) -> datetime:
    return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=number)  # whole ones, as HTTP has them


@dataclass
class MemoryStore:
    """`before` and `after` are called with each request's (method, key), and may raise."""

    objects: dict[str, tuple[Object, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda method, key: None
    after: Callable[[str, str], None] = lambda method, key: None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def _request(self, method: str, key: str) -> Iterator[None]:
        self.before(method, key)
        self.requests.append((method, key))
        yield
        self.after(method, key)

    def head(self, key: str) -> Object | None:
        with self._request("head", key):
            found = self.objects.get(key)
            return found[0] if found else None

    def get(self, key: str) -> tuple[Object, bytes] | None:
        with self._request("get", key):
            return self.objects.get(key)

    @contextmanager
    def open(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> Iterator[Iterator[bytes]]:
        with self._request("open", key):
            found = self.objects.get(key)
            if found is None or (if_match and found[0].etag != if_match):
                raise Changed("changed", where=key)
        yield iter([found[1][start:end]])

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
        data = body if isinstance(body, bytes) else body.read_bytes()
        with self._request("put", key):
            now = self.objects.get(key)
            if (if_none_match and now) or (if_match and (now is None or now[0].etag != if_match)):
                raise Changed("changed", where=key)
            number = next(self._numbers)
            etag = f'"{hashlib.md5(data).hexdigest()}-{number}"'
            digest = sha256 or hashlib.sha256(data).hexdigest()
            noted = MappingProxyType(dict(metadata or {}))
            made = Object(
                key, len(data), etag, _at(number), content_type, cache_control, disposition, digest, noted
            )
            self.objects[key] = (made, data)
        if on_progress:
            on_progress(len(data), len(data))
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
        with self._request("copy", key):
            found = self.objects.get(source.key)
            if found is None or found[0].etag != source.etag:
                raise Changed("changed", where=source.key)
            made = replace(
                found[0],
                key=key,
                modified=_at(next(self._numbers)),
                content_type=content_type,
                cache_control=cache_control,
                disposition=disposition,
                sha256=source.sha256,
                metadata=MappingProxyType(dict(metadata or {})),
            )
            self.objects[key] = (made, found[1])
        return made.etag

    def list(self, prefix: str = "") -> Iterator[Object]:
        with self._request("list", prefix):
            names = sorted(name for name in self.objects if name.startswith(prefix))
        for name in names:
            found = self.objects[name][0]
            yield Object(name, found.size, found.etag, found.modified)

    def delete(self, key: str) -> None:
        with self._request("delete", key):
            self.objects.pop(key, None)
