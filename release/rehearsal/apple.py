"""A stand-in for Apple on one loopback port: notary, upload bucket, tickets, timestamps.

It refuses what Apple refuses and knows only what was submitted to it. Its state is a folder: a second
stand-in on the same folder, in another process or after a kill, goes on where the first one was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from release.rehearsal.apple_behaviour import Behaviour, Counts
from release.rehearsal.apple_ca import api_key, signer
from release.rehearsal.apple_http import Request, Response, Server, failure
from release.rehearsal.apple_notary import Submissions
from release.rehearsal.apple_review import Reviewer
from release.rehearsal.apple_tickets import Tickets
from release.rehearsal.apple_timestamps import Timestamps
from release.rehearsal.apple_token import problem
from release.rehearsal.apple_upload import Uploads

LOOKUP = "/database/1/com.apple.gk.ticket-delivery/production/public/records/lookup"
NOTARY, BUCKET, STAMPS, LOGS = "/notary/v2", "/s3", "/ts01", "/logs"


class AppleStandIn:
    """All of Apple that a release talks to. A context manager: serves between enter and exit.

    `epoch` (seconds) is the time in timestamps, None for the real one; `now` is the server's clock for
    tokens and uploads.
    """

    def __init__(
        self,
        state: Path,
        *,
        reviewer: Reviewer | None = None,
        behaviour: Behaviour | None = None,
        epoch: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the services on `state`, making keys and certificates the first time."""
        self.state = state
        self.api_key = api_key(state)
        self.signer = signer(state)
        self._behaviour, self._counts, self._now = behaviour or Behaviour(), Counts(), now
        self._stamps = Timestamps(self.signer, moment=epoch)
        self._tickets = Tickets(state / "tickets", self.signer, self._behaviour, self._counts)
        self._submissions = Submissions(
            state / "submissions",
            reviewer=reviewer or _examiner(),
            tickets=self._tickets,
            behaviour=self._behaviour,
            counts=self._counts,
            now=now,
            signer=self.signer,
        )
        self._uploads = Uploads(
            state / "objects", grant=self._submissions.grant, done=self._submissions.arrived, now=now
        )
        self._submissions.uploads = self._uploads
        self._server: Server | None = None

    def __enter__(self) -> AppleStandIn:
        self._uploads.sweep()
        self._server = Server(self._answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
            self._server = None
        self._submissions.finish_reviews()

    @property
    def url(self) -> str:
        """The address of the whole stand-in."""
        if self._server is None:
            raise RuntimeError("the stand-in is not serving")
        return self._server.url

    @property
    def notary_url(self) -> str:
        """Base URL for NotaryClient."""
        return self.url + NOTARY

    @property
    def s3_url(self) -> str:
        """Endpoint of the upload bucket (path style)."""
        return self.url + BUCKET

    @property
    def ticket_url(self) -> str:
        """URL of the ticket look-up."""
        return self.url + LOOKUP

    @property
    def timestamp_url(self) -> str:
        """URL of the timestamp authority."""
        return self.url + STAMPS

    def _answer(self, request: Request) -> Response:
        path = request.path
        if path.startswith(f"{NOTARY}/submissions"):
            return self._notary(request, path.removeprefix(f"{NOTARY}/submissions").strip("/"))
        if path.startswith(f"{LOGS}/") and request.method == "GET":
            return self._submissions.log(path.removeprefix(f"{LOGS}/").removesuffix(".json"))
        if path.startswith(f"{BUCKET}/"):
            return self._upload(request)
        if path == LOOKUP and request.method == "POST":
            return self._tickets.answer(request)
        if path == STAMPS:
            if self._first("timestamp_errors"):
                return Response(503)
            return self._stamps.answer(request)
        return failure(404, "NOT_FOUND", f"nothing is served at {path}")

    def _first(self, name: str) -> bool:
        return self._counts.among_first(name, int(getattr(self._behaviour, name)))

    def _notary(self, request: Request, rest: str) -> Response:
        if self._first("cuts"):
            return Response(cut=True)
        if self._first("errors"):
            return failure(503, "SERVICE_UNAVAILABLE", "scripted")
        wrong = problem(request.headers.get("authorization", ""), self.api_key, self._now())
        if wrong:
            return failure(401, "NOT_AUTHORIZED", wrong)
        if self._behaviour.agreement:
            code = "FORBIDDEN.REQUIRED_AGREEMENTS_MISSING_OR_EXPIRED"
            return failure(403, code, "an agreement of the team is missing or has expired")
        return self._routed(request, rest)

    def _routed(self, request: Request, rest: str) -> Response:
        id, _, tail = rest.partition("/")
        if request.method == "POST" and not rest:
            return self._submissions.create(request)
        if request.method != "GET" or tail not in ("", "logs"):
            return failure(405, "METHOD_NOT_ALLOWED", f"{request.method} {request.path}")
        if not id:
            return self._submissions.recent()
        return self._submissions.logs(id, self.url) if tail else self._submissions.show(id)

    def _upload(self, request: Request) -> Response:
        if self._first("upload_cuts"):
            return Response(cut=True)
        if self._first("upload_errors"):
            return Response(503, b"<Error><Code>SlowDown</Code></Error>", "application/xml")
        return self._uploads.answer(request, request.path.removeprefix(BUCKET))


def _examiner() -> Reviewer:
    """Return the real review; imported late, for it brings the verifier and the disk image reader along."""
    from release.rehearsal.apple_examine import Examiner

    return Examiner()
