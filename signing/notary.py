"""Apple's notary service: submit, ask, wait, read the log.

The web API: https://developer.apple.com/documentation/notaryapi. A submission is made once and recorded by
the caller (id and sha256); waiting for it is a separate act that any process can take up again by id, since
Apple may need seconds or hours and there is no way to withdraw. Nothing here submits twice on its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from errors import Exit
from signing.clock import Clock, SystemClock
from signing.notary_log import Issue, NotaryLog, TicketContent, parse_log
from signing.notary_wait import judge, wait
from signing.submission import AFRESH, RESUME, LogPending, Notary, NotaryFault, Progress, Receipt, Submission
from signing.web import Call, Headers, Web

__all__ = [
    "APPLE",
    "ApiKey",
    "Issue",
    "LogPending",
    "Notary",
    "NotaryClient",
    "NotaryFault",
    "NotaryLog",
    "Receipt",
    "Submission",
    "TicketContent",
    "digest",
    "judge",
    "token",
    "wait",
]

APPLE = "https://appstoreconnect.apple.com/notary/v2"
AUDIENCE = "appstoreconnect-v1"
REGION = "us-west-2"
TOKEN_LIFE = 15 * 60  # Apple refuses more than 20 minutes
TOKEN_REUSE = 10 * 60
PIECE = 1 << 20

Picked = TypeVar("Picked")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An App Store Connect team key: issuer (UUID), key id (10 characters), the .p8 file's content."""

    issuer: str
    key_id: str
    private_key_pem: bytes = field(repr=False)


def token(key: ApiKey, now: float, *, life: int = TOKEN_LIFE) -> str:
    """Return a JSON web token (ES256, RFC 7515) valid for `life` seconds from `now`.

    Source of the claims: App Store Connect API, "Generating Tokens for API Requests". Fault SECRET if the key
    is not a P-256 private key in PEM.
    """
    header = {"alg": "ES256", "kid": key.key_id, "typ": "JWT"}
    claims = {"iss": key.issuer, "iat": int(now), "exp": int(now) + life, "aud": AUDIENCE}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    r, s = decode_dss_signature(_private_key(key).sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _private_key(key: ApiKey) -> ec.EllipticCurvePrivateKey:
    try:
        loaded = serialization.load_pem_private_key(key.private_key_pem, None)
    except (ValueError, TypeError):
        loaded = None
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and isinstance(loaded.curve, ec.SECP256R1):
        return loaded
    raise NotaryFault(
        f"the App Store Connect key {key.key_id} is not a P-256 private key in PEM",
        cure="give the content of the AuthKey_….p8 file as Apple offers it for download",
        status=Exit.SECRET,
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex; Fault INPUT_MISSING if it is absent or empty."""
    if not path.is_file() or not path.stat().st_size:
        raise NotaryFault("there is nothing to submit", where=path, status=Exit.INPUT_MISSING)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class NotaryClient:
    """The notary over its web API, from any platform."""

    def __init__(
        self,
        base_url: str = APPLE,
        *,
        key: ApiKey,
        s3_endpoint: str | None = None,
        session: requests.Session | None = None,
        clock: Clock | None = None,
        webhook: str | None = None,
        web: Web | None = None,
    ) -> None:
        """Keep what calls need. `s3_endpoint` (path style) replaces Amazon's own host for the upload."""
        self.base_url = base_url.rstrip("/")
        self.key = key
        self.s3_endpoint = s3_endpoint
        self.webhook = webhook
        self.clock = clock or SystemClock()
        self.web = web or Web(session or requests.Session(), self.clock)
        self._token = ("", float("-inf"))

    def submit(
        self,
        path: Path,
        *,
        name: str | None = None,
        on_created: Callable[[Receipt], None] | None = None,
        on_progress: Progress | None = None,
    ) -> Receipt:
        """See Notary.submit. Faults: NOTARY_AUTH, NOTARY_REJECTED for a refused request, NETWORK."""
        sha256 = digest(path)
        body: dict[str, object] = {"sha256": sha256, "submissionName": name or path.name}
        if self.webhook:
            body["notifications"] = [{"channel": "webhook", "target": self.webhook}]
        id, place = self._data(
            "POST", "/submissions", lambda data: (str(data["id"]), _place(data)), json=body
        )
        receipt = Receipt(id, sha256)
        if on_created:
            on_created(receipt)
        self._upload(path, sha256, place, on_progress)
        return receipt

    def status(self, id: str) -> str:
        """See Notary.status."""
        path = f"/submissions/{quote(id)}"
        return self._data("GET", path, lambda data: str(data["attributes"]["status"]))

    def log(self, id: str) -> NotaryLog:
        """See Notary.log. The address of the log is temporary, so it is asked for each time."""
        path = f"/submissions/{quote(id)}/logs"
        url = self._data("GET", path, lambda data: str(data["attributes"]["developerLogUrl"]), LogPending)
        response = self.web.send(Call("GET", url))
        if response.status_code == 404:
            raise LogPending(f"the log of submission {id} is not ready", cure=f"{RESUME}")
        if not response.ok:
            raise _refused(response, "the notary's log could not be read")
        return parse_log(_json(response))

    def history(self) -> list[Submission]:
        """Return the last 100 submissions of the team."""
        return self._data("GET", "/submissions", lambda data: [_submission(item) for item in data])

    def _authorization(self) -> Headers:
        value, minted = self._token
        if not 0 <= self.clock.now() - minted < TOKEN_REUSE:
            value, minted = self._token = token(self.key, self.clock.now()), self.clock.now()
        return Headers({"Authorization": f"Bearer {value}"})

    def _data(
        self,
        method: str,
        path: str,
        pick: Callable[[Any], Picked],
        missing: type[NotaryFault] = NotaryFault,
        **arguments: Any,
    ) -> Picked:
        """Return what `pick` finds in the data of the answer; `missing` is the fault for a 404."""
        call = Call(method, self.base_url + path, lambda: {"auth": self._authorization(), **arguments})
        response = self.web.send(call)
        if response.status_code == 404:
            raise missing(
                f"the notary has nothing at {path}",
                where=call.where,
                details=_errors(response),
                cure=f"was it another account's? {AFRESH}",
                status=Exit.NOTARY_UNKNOWN,
            )
        if not response.ok:
            raise _refused(response, "the notary refused the request")
        try:
            return pick(_json(response)["data"])
        except (KeyError, TypeError, AttributeError) as error:
            raise _garbled(response) from error

    def _upload(
        self, path: Path, sha256: str, place: Mapping[str, Any], on_progress: Progress | None
    ) -> None:
        url = _object_url(place["bucket"], place["object"], self.s3_endpoint)
        headers = _s3_headers(url, place, sha256)
        total = path.stat().st_size
        with path.open("rb") as file:

            def arguments() -> Mapping[str, Any]:
                file.seek(0)
                return {"data": _Body(file.read, total, on_progress), "auth": Headers(headers)}

            response = self.web.send(Call("PUT", url, arguments))
        if not response.ok:
            raise _refused(response, "the upload for the notary was refused")


class _Body:
    """A file as a request's body: of known length, so it travels in one piece; it tells how far it is."""

    def __init__(self, read: Callable[[int], bytes], total: int, on_progress: Progress | None) -> None:
        self._read, self._total, self._on_progress = read, total, on_progress
        self._done = self._told = 0

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE), b"")

    def read(self, size: int = -1) -> bytes:
        piece = self._read(size)
        self._done += len(piece)
        if self._on_progress and (self._done - self._told >= PIECE or self._done == self._total):
            self._told = self._done
            self._on_progress(self._done, self._total)
        return piece


def _object_url(bucket: str, key: str, endpoint: str | None) -> str:
    path = quote(key, safe="/~")
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}/{path}"
    return f"https://{bucket}.s3.{REGION}.amazonaws.com/{path}"


class _KnownDigest(S3SigV4Auth):
    """Signature version 4 with the payload's SHA-256 given, so that the file is not read once more."""

    def __init__(self, credentials: Credentials, sha256: str) -> None:
        super().__init__(credentials, "s3", REGION)
        self._sha256 = sha256

    def payload(self, request: AWSRequest) -> str:
        return self._sha256


def _s3_headers(url: str, place: Mapping[str, Any], sha256: str) -> dict[str, str]:
    credentials = Credentials(place["awsAccessKeyId"], place["awsSecretAccessKey"], place["awsSessionToken"])
    request = AWSRequest("PUT", url)
    _KnownDigest(credentials, sha256).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError as error:
        raise _garbled(response) from error
    if not isinstance(value, dict):
        raise _garbled(response)
    return value


def _garbled(response: requests.Response) -> NotaryFault:
    return NotaryFault(
        "the notary's answer is not the JSON it promises",
        where=response.url.partition("?")[0],
        details=(response.text[:200],),
        cure=f"try {RESUME} later; a proxy on the way may have answered in its place",
        status=Exit.NETWORK,
    )


def _errors(response: requests.Response) -> tuple[str, ...]:
    """Read Apple's error objects, or whatever text came instead, as lines."""
    try:
        found = response.json()["errors"]
        return tuple(
            f"{item.get('code', '')}: {item.get('detail') or item.get('title', '')}" for item in found
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return (response.text[:300],) if response.text else ()


def _refused(response: requests.Response, what: str) -> NotaryFault:
    details = _errors(response)
    unauthorized = response.status_code in (401, 403)
    cure = "check the issuer id, the key id, the .p8 file and this machine's clock"
    if "AGREEMENT" in " ".join(details).upper():
        cure = "an agreement waits for the account holder's consent at https://developer.apple.com/account"
    elif not unauthorized:
        cure = "correct what the notary names and submit again"
    return NotaryFault(
        f"{what} (HTTP {response.status_code})",
        where=response.url.partition("?")[0],
        details=(*details, *(f"the server's clock says {date}" for date in _dates(response) if unauthorized)),
        cure=cure,
        status=Exit.NOTARY_AUTH if unauthorized else Exit.NOTARY_REJECTED,
    )


def _dates(response: requests.Response) -> list[str]:
    return [response.headers["Date"]] if "Date" in response.headers else []


def _place(data: Mapping[str, Any]) -> dict[str, str]:
    """Return where to upload to and with which temporary credentials."""
    names = ("awsAccessKeyId", "awsSecretAccessKey", "awsSessionToken", "bucket", "object")
    return {name: str(data["attributes"][name]) for name in names}


def _submission(item: Mapping[str, Any]) -> Submission:
    about = item["attributes"]
    return Submission(item["id"], about["name"], about["status"], about["createdDate"])
