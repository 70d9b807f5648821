"""The notary's web API, as far as a release uses it: submissions, their status, their logs.

Shapes: https://developer.apple.com/documentation/notaryapi. A submission is one JSON file; the review of an
upload runs beside the requests and starts anew if the process that began it is gone.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

from release.files import write_json
from release.rehearsal import apple_webhook
from release.rehearsal.apple_behaviour import Behaviour, Counts
from release.rehearsal.apple_ca import Signer
from release.rehearsal.apple_http import Request, Response, as_json, failure
from release.rehearsal.apple_review import Review, Reviewer
from release.rehearsal.apple_state import read_json
from release.rehearsal.apple_tickets import Tickets
from release.rehearsal.apple_upload import BUCKET, LIFE, Grant, Uploads
from signing.notary_log import Issue, TicketContent
from signing.submission import ACCEPTED, IN_PROGRESS

SHOWN = 100  # as many submissions as Apple lists
Record = dict[str, Any]


class Submissions:
    """Keeps submissions under `folder` and answers for them."""

    def __init__(
        self,
        folder: Path,
        *,
        reviewer: Reviewer,
        tickets: Tickets,
        behaviour: Behaviour,
        counts: Counts,
        now: Callable[[], float],
        signer: Signer,
    ) -> None:
        """Keep what answers need. `uploads` is set once the bucket exists; `signer` signs webhooks."""
        self._signer = signer
        self._folder, self._reviewer, self._tickets = folder, reviewer, tickets
        self._behaviour, self._counts, self._now = behaviour, counts, now
        self._lock = threading.RLock()
        self._reviews: dict[str, threading.Thread] = {}
        self.uploads: Uploads | None = None

    # what the API asks for

    def create(self, request: Request) -> Response:
        """POST /submissions: note what is to come, and give leave to upload it."""
        try:
            asked = json.loads(request.body())
            name, sha256 = str(asked["submissionName"]), str(asked["sha256"])
            webhooks = [item["target"] for item in asked.get("notifications") or ()]
        except (ValueError, KeyError, TypeError):
            return failure(422, "ENTITY_ERROR.ATTRIBUTE.REQUIRED", "submissionName and sha256 are needed")
        if not name or not re.fullmatch("[0-9a-f]{64}", sha256):
            return failure(422, "ENTITY_ERROR.ATTRIBUTE.INVALID", "sha256 is 64 lower-case hex digits")
        record = self._new(name, sha256, webhooks)
        attributes = {
            "awsAccessKeyId": record["access_key"],
            "awsSecretAccessKey": record["secret_key"],
            "awsSessionToken": record["token"],
            "bucket": BUCKET,
            "object": record["object"],
        }
        data = {"type": "newSubmissions", "id": record["id"], "attributes": attributes}
        return as_json({"data": data, "meta": {}})

    def recent(self) -> Response:
        """GET /submissions: the last hundred, newest first."""
        records = sorted(self._all(), key=lambda record: str(record["created"]), reverse=True)
        return as_json({"data": [self._public(record) for record in records[:SHOWN]], "meta": {}})

    def show(self, id: str) -> Response:
        """GET /submissions/{id}: the status; asking moves the script on."""
        with self._lock:
            record = self._find(id)
            if record is None:
                return failure(404, "NOT_FOUND", f"there is no submission {id}")
            if record["uploaded"]:
                record["polls"] += 1
                self._write(record)
        self._start_review(record["id"])
        return as_json({"data": self._public(self._find(id) or record), "meta": {}})

    def logs(self, id: str, base_url: str) -> Response:
        """GET /submissions/{id}/logs: where the log can be read."""
        record = self._find(id)
        if record is None or self._status(record) == IN_PROGRESS:
            return failure(404, "NOT_FOUND", f"there is no log for submission {id}")
        if self._counts.among_first(f"log {id}", self._behaviour.log_lag):
            return failure(404, "NOT_FOUND", f"the log of submission {id} is not written yet")
        url = f"{base_url}/logs/{id}.json?signature={secrets.token_hex(16)}"
        data = {"type": "submissionsLog", "id": id, "attributes": {"developerLogUrl": url}}
        return as_json({"data": data, "meta": {}})

    def log(self, id: str) -> Response:
        """Return the log itself."""
        record = self._find(id)
        if record is None or self._status(record) == IN_PROGRESS:
            return failure(404, "NOT_FOUND", "no such log")
        return as_json(_log(record, self._status(record)))

    # what the bucket asks for

    def grant(self, key: str) -> Grant | None:
        """Return the leave to upload an object."""
        record = self._find(key.rpartition("/")[2])
        if record is None or record["object"] != key:
            return None
        return Grant(
            record["access_key"], record["secret_key"], record["token"], key, record["created"] + LIFE
        )

    def arrived(self, key: str, sha256: str, size: int) -> None:
        """Note an upload and begin its review."""
        with self._lock:
            record = self._find(key.rpartition("/")[2])
            if record is None:
                return
            record["uploaded"] = {"sha256": sha256, "size": size}
            record["review"] = None
            self._write(record)
        self._start_review(record["id"])

    # the review

    def finish_reviews(self) -> None:
        """Wait for reviews that are going on: their work folders must not outlive the process."""
        with self._lock:
            running = list(self._reviews.values())
        for thread in running:
            thread.join()

    def _start_review(self, id: str) -> None:
        """Review what is uploaded and was not reviewed; the record is read under the lock, lest it be old."""
        with self._lock:
            record, running = self._find(id), self._reviews.get(id)
            if not record or not record["uploaded"] or record["review"] or (running and running.is_alive()):
                return
            thread = threading.Thread(target=self._review, args=(id,), daemon=True)
            self._reviews[id] = thread
            thread.start()

    def _review(self, id: str) -> None:
        record = self._find(id)
        if record is None or self.uploads is None:
            return
        review = self._judge(record, self.uploads.path(record["object"]))
        verdict = self._behaviour.verdict or (ACCEPTED if review.accepted else "Invalid")
        if verdict == ACCEPTED:
            self._tickets.issue(review.contents)
        with self._lock:
            latest = self._find(id) or record
            latest["review"], latest["verdict"] = asdict(review), verdict
            self._write(latest)
        self.uploads.discard(record["object"])  # judged: nobody asks for the bytes again
        self._announce(latest)

    def _announce(self, record: Record) -> None:
        """Call those who asked for it, unless the script keeps the submission in progress for ever."""
        if not record["webhooks"] or record["verdict"] == IN_PROGRESS:
            return
        data = apple_webhook.body(record["id"], record["created"], self._now(), self._signer)
        with self._lock:  # what has been announced is decided, however often nobody asked before
            decided = self._find(record["id"]) or record
            decided["polls"] = max(decided["polls"], self._behaviour.polls + 1)
            self._write(decided)
        statuses = apple_webhook.post(record["webhooks"], data)
        with self._lock:
            told = self._find(record["id"]) or record
            self._write({**told, "announced": statuses})

    def _judge(self, record: Record, upload: Path) -> Review:
        if record["uploaded"]["sha256"] != record["sha256"]:
            text = "The upload's SHA-256 is not the one the submission announced."
            return Review((Issue("error", record["name"], text),))
        try:
            return self._reviewer.review(upload, record["name"])
        except Exception as error:  # whatever an archive breaks, the submitter must hear of it
            return Review((Issue("error", record["name"], f"The archive cannot be examined: {error}"),))

    # the records

    def _new(self, name: str, sha256: str, webhooks: list[str]) -> Record:
        id = str(uuid4())
        record: Record = {
            "id": id,
            "name": name,
            "sha256": sha256,
            "webhooks": webhooks,
            "created": self._now(),
            "object": f"rehearsal/{secrets.token_hex(10).upper()}:1/{id}",
            "access_key": f"ASIA{secrets.token_hex(8).upper()}",
            "secret_key": secrets.token_urlsafe(30),
            "token": secrets.token_urlsafe(60),
            "uploaded": None,
            "polls": 0,
            "review": None,
            "verdict": None,
        }
        self._write(record)
        return record

    def _find(self, id: str) -> Record | None:
        try:
            found = read_json(self._folder / f"{UUID(unquote(id))}.json")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def _all(self) -> list[Record]:
        found = (self._find(path.stem) for path in self._folder.glob("*.json"))
        return [record for record in found if record]

    def _write(self, record: Record) -> None:
        write_json(self._folder / f"{record['id']}.json", record, mode=0o600)

    def _status(self, record: Record) -> str:
        waiting = record["polls"] <= self._behaviour.polls or not record["review"]
        return IN_PROGRESS if waiting or not record["uploaded"] else str(record["verdict"])

    def _public(self, record: Record) -> dict[str, object]:
        attributes = {
            "createdDate": apple_webhook.iso(record["created"]),
            "name": record["name"],
            "status": self._status(record),
        }
        return {"type": "submissions", "id": record["id"], "attributes": attributes}


def _log(record: Record, status: str) -> dict[str, object]:
    accepted = status == ACCEPTED
    issues = record["review"]["issues"]
    contents = record["review"]["contents"] if accepted else ()
    return {
        "logFormatVersion": 1,
        "jobId": record["id"],
        "status": status,
        "statusSummary": "Ready to be given to others" if accepted else "The archive has errors",
        "statusCode": 0 if accepted else 4000,
        "archiveFilename": record["name"],
        "uploadDate": apple_webhook.iso(record["created"]),
        "sha256": record["sha256"],
        "ticketContents": [_content(TicketContent(**item)) for item in contents] or None,
        "issues": [_issue(Issue(**item)) for item in issues] or None,
    }


def _content(content: TicketContent) -> dict[str, object]:
    found = {
        "path": content.path,
        "digestAlgorithm": content.digest_algorithm,
        "cdhash": content.cdhash,
        "arch": content.arch,
    }
    return {name: value for name, value in found.items() if value is not None}


def _issue(issue: Issue) -> dict[str, object]:
    return {
        "severity": issue.severity,
        "code": issue.code,
        "path": issue.path,
        "message": issue.message,
        "docUrl": issue.doc_url,
        "architecture": issue.architecture,
    }
