"""The check of the JSON web tokens that come with every notary request."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signing.notary import ApiKey

LONGEST = 20 * 60
SKEW = 60


def problem(authorization: str, key: ApiKey, now: float) -> str:
    """Say what is wrong with an Authorization header, or nothing.

    Source: App Store Connect API, "Generating Tokens for API Requests": ES256, aud appstoreconnect-v1,
    valid for 20 minutes at most.
    """
    try:
        header, claims, signature = authorization.removeprefix("Bearer ").split(".")
        head, body = _part(header), _part(claims)
        issued, expires = float(body["iat"]), float(body["exp"])
        _verify(f"{header}.{claims}", _decode(signature), key)
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return "a bearer token signed with a known key is needed"
    return next((text for wrong, text in _rules(head, body, issued, expires, key, now) if wrong), "")


def _rules(
    head: Any, body: Any, issued: float, expires: float, key: ApiKey, now: float
) -> list[tuple[bool, str]]:
    return [
        (head.get("alg") != "ES256" or head.get("typ") != "JWT", "the token must be a JWT signed with ES256"),
        (head.get("kid") != key.key_id, f"no key {head.get('kid')}"),
        (body.get("iss") != key.issuer, "the issuer is not the key's"),
        (body.get("aud") != "appstoreconnect-v1", "the audience must be appstoreconnect-v1"),
        (expires - issued > LONGEST, "the token's life is longer than 20 minutes"),
        (issued > now + SKEW, "the token is from the future"),
        (expires <= now, "the token has expired"),
    ]


def _verify(signed: str, signature: bytes, key: ApiKey) -> None:
    private = serialization.load_pem_private_key(key.private_key_pem, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or len(signature) != 64:
        raise ValueError("not an ES256 signature")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    private.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))


def _part(text: str) -> dict[str, Any]:
    value = json.loads(_decode(text))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
