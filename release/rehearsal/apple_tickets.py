"""Tickets, and the look-up that hands them out (CloudKit's public records/lookup, as JSON).

A rehearsal's ticket begins as Apple's do ("s8ch"); what follows is our own: a length, the code directory
hashes it vouches for as JSON, an RSA signature over both.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from release.files import write_atomic
from release.rehearsal.apple_behaviour import Behaviour, Counts
from release.rehearsal.apple_ca import Signer
from release.rehearsal.apple_http import Request, Response, as_json
from signing.notary_log import TicketContent
from signing.ticket import record_name

MAGIC = b"s8ch"
HASH_TYPES = {"SHA-1": 1, "SHA-256": 2, "SHA-384": 4, "SHA-512": 5}


def make(contents: Sequence[TicketContent], signer: Signer) -> bytes:
    """Return a ticket for `contents`: the same contents and key give the same bytes."""
    body = json.dumps(sorted({_record(content) for content in contents})).encode()
    signed = MAGIC + struct.pack(">I", len(body)) + body
    return signed + signer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def records(ticket: bytes, signer: Signer) -> tuple[str, ...]:
    """Return the records that one of `signer`'s tickets vouches for; ValueError if it is none."""
    if ticket[:4] != MAGIC or len(ticket) < 8:
        raise ValueError("not a ticket")
    end = 8 + int.from_bytes(ticket[4:8], "big")
    public = signer.certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise ValueError("not the key of a ticket")
    try:
        public.verify(ticket[end:], ticket[:end], padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise ValueError("the ticket's signature is wrong") from error
    return tuple(json.loads(ticket[8:end]))


def _record(content: TicketContent) -> str:
    return record_name(content.cdhash, HASH_TYPES[content.digest_algorithm])


class Tickets:
    """Keeps tickets under `folder`, one file a record, and answers look-ups."""

    def __init__(self, folder: Path, signer: Signer, behaviour: Behaviour, counts: Counts) -> None:
        """Keep what answers need."""
        self._folder = folder
        self._signer = signer
        self._behaviour = behaviour
        self._counts = counts

    def issue(self, contents: Sequence[TicketContent]) -> None:
        """Write one ticket for all of `contents` under each one's record."""
        ticket = make(contents, self._signer)
        for content in contents:
            write_atomic(self._path(_record(content)), ticket)

    def answer(self, request: Request) -> Response:
        """Serve a look-up of one or more records."""
        if self._counts.among_first("ticket_errors", self._behaviour.ticket_errors):
            return as_json({"serverErrorCode": "TRY_AGAIN_LATER", "reason": "scripted"}, 503)
        try:
            names = [str(record["recordName"]) for record in json.loads(request.body())["records"]]
        except (ValueError, KeyError, TypeError):
            return as_json({"serverErrorCode": "BAD_REQUEST", "reason": "records with recordName"}, 400)
        return as_json({"records": [self._answer(name) for name in names]})

    def _answer(self, name: str) -> dict[str, object]:
        path = self._path(name)
        if not path.is_file() or self._counts.among_first(f"lag {name}", self._behaviour.ticket_lag):
            return {"recordName": name, "reason": "no such record", "serverErrorCode": "NOT_FOUND"}
        value = base64.b64encode(path.read_bytes()).decode()
        return {
            "recordName": name,
            "recordType": "DeveloperIDTicket",
            "fields": {"signedTicket": {"type": "BYTES", "value": value}},
            "deleted": False,
        }

    def _path(self, name: str) -> Path:
        return self._folder / "".join(c if c.isalnum() else "-" for c in name)
