"""The notary's word to those who asked for it: a POST when a submission has been judged.

The body is Apple's: `{payload, signature, cert_chain}`, where `payload` is JSON in a string with
`completed_time, event, start_time, submission_id, team_id`. Signature and chain are of the rehearsal's own
authority.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from release.rehearsal.apple_ca import Signer
from signing.certificate import REHEARSAL_TEAM

EVENT = "processing-complete"
TRIES = 3
PATIENCE = 10.0  # seconds for one answer


def body(submission: str, started: float, completed: float, signer: Signer) -> bytes:
    """Return what is posted about one submission."""
    payload = json.dumps(
        {
            "completed_time": iso(completed),
            "event": EVENT,
            "start_time": iso(started),
            "submission_id": submission,
            "team_id": REHEARSAL_TEAM,
        }
    )
    signature = signer.key.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    chain = [
        one.public_bytes(serialization.Encoding.PEM).decode() for one in (signer.certificate, signer.issuer)
    ]
    whole = {"payload": payload, "signature": base64.b64encode(signature).decode(), "cert_chain": chain}
    return json.dumps(whole).encode()


def post(targets: Sequence[str], data: bytes) -> list[int]:
    """Post to every target, a few times if need be; return the last status of each, 0 for no answer."""
    return [_post(target, data) for target in targets]


def _post(target: str, data: bytes) -> int:
    status = 0
    for attempt in range(TRIES):
        time.sleep(0.2 * attempt)
        with suppress(requests.RequestException):
            headers = {"Content-Type": "application/json"}
            status = requests.post(target, data, headers=headers, timeout=PATIENCE).status_code
        if 200 <= status < 500:
            break
    return status


def iso(seconds: float) -> str:
    """Return a time in seconds since the epoch as the notary writes it: UTC, with milliseconds and a Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
