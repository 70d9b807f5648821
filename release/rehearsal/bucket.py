"""The rehearsal's bucket: a real S3 server on loopback whose content outlives it.

The server is moto's. What it lacks is added in front of it: requests without this start's key are refused,
requests run one at a time (so a condition and its write are one step, as on R2), a copy's source can be
pinned, and no write is answered before it is on disk. On disk stand

    objects/<sha256>    the bytes, by digest
    index.json          every object: key, digest, headers, etag, time

The index is replaced in one rename, so a process killed at any moment leaves the state before or after a
request, never between. Uploads in parts that were not completed are forgotten.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import unquote
from xml.sax.saxutils import escape

from errors import Exit, Fault
from release.store import S3Store

if TYPE_CHECKING:
    from moto.s3.models import FakeKey, S3Backend
    from werkzeug.serving import BaseWSGIServer

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's own default
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in the index. `sha256` names its file, `headers` are what a reader gets."""

    sha256: str
    size: int
    etag: str
    modified: str
    headers: dict[str, str]


class Bucket:
    """A context manager: the server runs inside `with`. `folder` holds the content between runs.

    One process may have several, but not two of the same `name` at a time.
    """

    def __init__(self, folder: Path, name: str = "releases") -> None:
        self.folder = folder
        self.name = name
        self.access_key = "rehearsal-" + secrets.token_hex(8)
        self.secret_key = secrets.token_urlsafe(30)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The server's address, `http://127.0.0.1:<port>`; only while it runs."""
        if self._server is None:
            raise RuntimeError("the bucket is not running")
        return f"http://127.0.0.1:{self._server.server_port}"

    def store(self) -> S3Store:
        """Return a store that speaks to this bucket with this start's key."""
        return S3Store(
            endpoint=self.endpoint,
            bucket=self.name,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def __enter__(self) -> Self:
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # moto's own botocore asks nobody
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):
            def log(self, type: str, message: str, *args: object) -> None:
                return

        keeper = _Keeper(self.folder, self.name)
        keeper.restore()
        app = _front(DomainDispatcherApplication(create_backend_app), keeper, self.access_key)
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None
        _Keeper(self.folder, self.name).forget()


class _Keeper:
    """Keeps moto's bucket and the folder the same."""

    def __init__(self, folder: Path, name: str) -> None:
        self._objects = folder / "objects"
        self._index = folder / "index.json"
        self._name = name
        self._saved: dict[str, tuple[FakeKey, Entry]] = {}
        self.lock = threading.Lock()

    def restore(self) -> None:
        """Fill moto's bucket from the folder; sweep away what a killed process left half-written."""
        from moto.s3.models import FakeBucket

        backend = _backend()
        if self._name in backend.buckets:
            raise Fault(f"the bucket {self._name} runs already in this process", status=Exit.LOCKED)
        self._objects.mkdir(parents=True, exist_ok=True)
        entries = self._read_index()
        self._sweep({entry.sha256 for entry in entries.values()})
        make = cast(Callable[..., FakeBucket], FakeBucket)  # abstract in name only
        bucket = make(name=self._name, account_id=ACCOUNT, region_name=REGION)
        for key, entry in entries.items():
            made = _revive(key, entry, self._objects / entry.sha256, self._name)
            bucket.keys[key] = made
            self._saved[key] = (made, entry)
        backend.buckets[self._name] = bucket

    def is_source(self, environ: Environ) -> bool:
        """Tell whether what is to be copied, if anything, is what the copier means: moto does not ask."""
        wanted = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
        if wanted is None:
            return True
        bucket, _, key = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/").partition("/")
        found = self._saved.get(key) if bucket == self._name else None
        return found is None or f'"{found[1].etag}"' == wanted  # what is not there is moto's to refuse

    def reload(self) -> None:
        """Go back to what the folder has. Called with the lock held."""
        self.forget()
        self._saved = {}
        self.restore()

    def save(self) -> None:
        """Write what has changed since the last time. Called with the lock held."""
        now = {str(key): value for key, value in _backend().buckets[self._name].keys.items()}
        if now.keys() == self._saved.keys() and all(now[key] is self._saved[key][0] for key in now):
            return
        saved: dict[str, tuple[FakeKey, Entry]] = {}
        for key, value in now.items():
            old = self._saved.get(key)
            saved[key] = old if old and old[0] is value else (value, self._store(value))
        self._write_index({key: entry for key, (_, entry) in saved.items()})
        self._saved = saved
        self._sweep({entry.sha256 for _, entry in saved.values()})

    def forget(self) -> None:
        """Drop the bucket from moto, whose state is global to the process."""
        bucket = _backend().buckets.pop(self._name, None)
        for value in [] if bucket is None else bucket.keys.values():
            value.dispose()

    def _store(self, value: FakeKey) -> Entry:
        """Put the object's bytes into a file of their own and let moto read them from there."""
        temporary = self._objects / f".{secrets.token_hex(8)}"
        with value.lock, temporary.open("wb") as out:
            value._value_buffer.seek(0)
            shutil.copyfileobj(value._value_buffer, out, 1 << 20)
        with temporary.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        final = self._objects / sha256
        etag = value.etag.strip('"')
        temporary.replace(final)
        _read_from(value, final)
        if value.multipart is not None:  # the parts would stay in memory as long as the object
            value.multipart.dispose()
            value.multipart = None
        return Entry(sha256, value.size, etag, value.last_modified.isoformat(), dict(value.metadata))

    def _read_index(self) -> dict[str, Entry]:
        try:
            index = json.loads(self._index.read_text("utf-8"))
            return {key: Entry(**entry) for key, entry in index["objects"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Fault(
                f"the rehearsal's bucket has an unreadable index: {error}",
                where=self._index,
                cure="remove the folder; the next rehearsal starts with an empty bucket",
                status=Exit.PUBLISH,
            ) from error

    def _write_index(self, entries: dict[str, Entry]) -> None:
        text = json.dumps({"objects": {key: asdict(entries[key]) for key in sorted(entries)}}, indent=1)
        temporary = self._index.with_name(f".index-{secrets.token_hex(8)}")
        temporary.write_text(text, "utf-8")
        temporary.replace(self._index)

    def _sweep(self, wanted: set[str]) -> None:
        for path in self._objects.iterdir():
            if path.name not in wanted:
                path.unlink()
        for path in self._index.parent.glob(".index-*"):
            path.unlink()


def _backend() -> S3Backend:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT]["aws"]


def _revive(key: str, entry: Entry, path: Path, bucket: str) -> FakeKey:
    from moto.s3.models import FakeKey

    if not path.is_file() or path.stat().st_size != entry.size:
        raise Fault(
            f"the rehearsal's bucket has lost the bytes of {key}",
            where=path,
            cure="remove the folder; the next rehearsal starts with an empty bucket",
            status=Exit.PUBLISH,
        )
    made = FakeKey(
        name=key,
        value=b"",
        account_id=ACCOUNT,
        region_name=REGION,
        etag=entry.etag,
        version_id="null",
        bucket_name=bucket,
    )
    _read_from(made, path)
    made.contentsize = entry.size
    made.last_modified = datetime.fromisoformat(entry.modified)
    made.set_metadata(dict(entry.headers))
    return made


def _read_from(value: FakeKey, path: Path) -> None:
    with value.lock:
        value._value_buffer.close()
        value._value_buffer = cast(Any, path.open("rb"))


def _front(app: Application, keeper: _Keeper, access_key: str) -> Application:
    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if _access_key(environ) != access_key:
            return _error(start_response, "403 Forbidden", "InvalidAccessKeyId", "unknown key")
        if "partNumber=" in environ["QUERY_STRING"]:  # a part shows nowhere until its upload is completed
            return app(environ, start_response)
        _buffer_body(environ)  # a slow sender must not keep the others waiting
        held: list[tuple[Any, ...]] = []
        with keeper.lock:
            if not keeper.is_source(environ):
                return _error(
                    start_response, "412 Precondition Failed", "PreconditionFailed", "another source"
                )
            body = list(app(environ, lambda *head: held.append(head)))
            try:
                keeper.save()
            except OSError as error:
                keeper.reload()  # what could not be kept was not written
                return _error(start_response, "507 Insufficient Storage", "DiskFull", str(error))
        start_response(*held[-1])
        return body

    return answer


def _access_key(environ: Environ) -> str | None:
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else None


def _error(start_response: StartResponse, status: str, code: str, message: str) -> Iterable[bytes]:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = text.encode()
    kind = ("Content-Type", "application/xml")
    start_response(status, [kind, ("Content-Length", str(len(body))), ("Connection", "close")])
    return [body]


def _buffer_body(environ: Environ) -> None:
    with suppress(ValueError):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
