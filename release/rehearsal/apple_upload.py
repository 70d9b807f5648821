"""The bucket that takes uploads for the notary: S3's PUT with temporary credentials, checked in earnest.

Signature version 4 is worked out here anew, apart from the library that the client signs with. Source:
Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote
from xml.sax.saxutils import escape

from release.rehearsal.apple_http import Request, Response

REGION = "us-west-2"
BUCKET = "rehearsal-notary-submissions"
SKEW = 15 * 60
LIFE = 12 * 3600
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})$"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to upload one object, until `expires` (seconds)."""

    access_key: str
    secret_key: str
    token: str
    object: str
    expires: float


class Refused(Exception):
    """An S3 error: status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep the three."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Uploads:
    """Takes objects into `folder`; `grant` finds leave by an object's key, `done` hears of arrivals."""

    def __init__(
        self,
        folder: Path,
        *,
        grant: Callable[[str], Grant | None],
        done: Callable[[str, str, int], None],
        now: Callable[[], float],
    ) -> None:
        """Keep what answers need."""
        self._folder, self._grant, self._done, self._now = folder, grant, done, now

    def path(self, key: str) -> Path:
        """Return where an object lies."""
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    def discard(self, key: str) -> None:
        """Remove an object that is not needed any more."""
        self.path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what killed processes left: anything older than leave to upload lasts."""
        for path in self._folder.glob("*"):
            if path.lstat().st_mtime > time.time() - LIFE:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def answer(self, request: Request, path: str) -> Response:
        """Serve PUT of `path`: /bucket/key, still quoted."""
        try:
            bucket, _, quoted = path.lstrip("/").partition("/")
            if request.method != "PUT" or bucket != BUCKET:
                raise Refused(403, "AccessDenied", "only PUT, only into the bucket of a submission")
            key = unquote(quoted)
            check(request, self._grant(key), self._now())
            etag = self._store(request, key)
        except Refused as refusal:
            return _error(refusal)
        return Response(200, b"", "application/xml", {"ETag": f'"{etag}"'})

    def _store(self, request: Request, key: str) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            temporary = Path(file.name)
            try:
                for piece in request.stream.pieces():
                    sha256.update(piece)
                    md5.update(piece)
                    file.write(piece)
                file.flush()
                if sha256.hexdigest() != request.headers["x-amz-content-sha256"]:
                    raise Refused(400, "XAmzContentSHA256Mismatch", "the body is not what was signed")
                temporary.replace(self.path(key))
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        self._done(key, sha256.hexdigest(), request.length)
        return md5.hexdigest()


def check(request: Request, grant: Grant | None, now: float) -> None:
    """Raise Refused unless the request carries the grant's credentials, fresh and rightly signed."""
    match = AUTHORIZATION.match(request.headers.get("authorization", ""))
    if grant is None or match is None or match["key"] != grant.access_key:
        raise Refused(403, "InvalidAccessKeyId", "no such access key for this object")
    if request.headers.get("x-amz-security-token") != grant.token:
        raise Refused(400, "InvalidToken", "the session token is not the one that was handed out")
    if now > grant.expires:
        raise Refused(400, "ExpiredToken", "the session token is older than twelve hours")
    stamp = request.headers.get("x-amz-date", "")
    if abs(now - _seconds(stamp)) > SKEW:
        raise Refused(403, "RequestTimeTooSkewed", "the request's time and the server's are too far apart")
    if match["scope"] != f"{stamp[:8]}/{REGION}/s3/aws4_request":
        raise Refused(400, "AuthorizationHeaderMalformed", f"the region must be {REGION}")
    names = match["names"].split(";")
    if not {"host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"} <= set(names):
        raise Refused(403, "AccessDenied", "a header that must be signed is not")
    wanted = signature(request, names, match["scope"], grant.secret_key)
    if not hmac.compare_digest(wanted, match["signature"]):
        raise Refused(403, "SignatureDoesNotMatch", "the signature is not that of this request")


def signature(request: Request, names: list[str], scope: str, secret: str) -> str:
    """Work out the signature that the request should carry."""
    headers: Mapping[str, str] = request.headers
    canonical = "\n".join(
        [
            request.method,
            request.path,
            "&".join(sorted(request.query.split("&"))),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in names),
            "",
            ";".join(names),
            headers.get("x-amz-content-sha256", ""),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _seconds(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _error(refusal: Refused) -> Response:
    body = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"
    return Response(refusal.status, body.encode(), "application/xml")
