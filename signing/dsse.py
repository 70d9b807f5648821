"""Envelopes for signed statements (DSSE v1), signed with the release's EdDSA key.

An envelope is JSON: `{"payload": base64, "payloadType": …, "signatures": [{"keyid": …, "sig": base64}]}`.
What is signed is not the payload itself but its pre-authentication encoding, so that a type cannot be
exchanged: `DSSEv1 <len(type)> <type> <len(payload)> <payload>`, lengths in bytes as ASCII decimals
(https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md). The key id is the SHA-256 of the 32 raw
bytes of the public key, hex.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from errors import Exit, Fault
from signing.eddsa_keys import KEY_BYTES, KeyFault, PrivateKey, decode, public_key


class EnvelopeFault(Fault):
    """A statement whose envelope is malformed, or was not signed by the key that should have."""

    status = Exit.SIGNATURE


def key_id(public: str) -> str:
    """Return the id of a public key (base64): SHA-256 of its raw bytes, hex."""
    return hashlib.sha256(_raw(public)).hexdigest()


def sign(payload: bytes, payload_type: str, key: PrivateKey) -> bytes:
    """Return an envelope around `payload`, one line of JSON without a newline."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signature  # type: ignore[attr-defined]

    name = key_id(public_key(key))
    envelope = Envelope(payload, payload_type, {})
    envelope.signatures[name] = Signature(name, key.sign(envelope.pae()).hex())
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")).encode()


def verify(line: bytes, payload_type: str, public: str) -> bytes:
    """Return the payload of an envelope that the owner of `public` (base64) signed; raises EnvelopeFault."""
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    name, raw = key_id(public), _raw(public)
    envelope = _read(line)
    if envelope.payload_type != payload_type:
        raise EnvelopeFault(f"the envelope holds {envelope.payload_type!r}, not {payload_type!r}")
    signer = SSlibKey(name, "ed25519", "ed25519", {"public": raw.hex()})
    try:
        envelope.verify([signer], 1)
    except VerificationError as error:
        raise EnvelopeFault(
            "the statement's signature does not fit its bytes and the key",
            details=(f"key {public}, id {name}", f"signed by {', '.join(envelope.signatures) or 'nobody'}"),
        ) from error
    return bytes(envelope.payload)


def _read(line: bytes) -> Any:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error

    try:
        return Envelope.from_dict(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, Error, RecursionError) as error:
        raise EnvelopeFault(f"this is no signed statement (DSSE): {type(error).__name__}") from error


def _raw(public: str) -> bytes:
    raw = decode(public, "the public EdDSA key")
    if len(raw) != KEY_BYTES:
        raise KeyFault(f"a public EdDSA key has {KEY_BYTES} bytes, this one {len(raw)}")
    return raw
