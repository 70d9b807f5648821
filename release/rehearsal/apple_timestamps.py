"""A timestamp authority after RFC 3161, in process: some sixty requests an app, a millisecond each."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, ClassVar

from asn1crypto import algos, cms, core, tsp, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from release.rehearsal.apple_ca import Signer
from release.rehearsal.apple_http import Request, Response

POLICY = "1.3.6.1.4.1.99999.1"  # of the private range: the policy of nobody
LENGTHS = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
REPLY = "application/timestamp-reply"


class Timestamps:
    """Answers timestamp queries with `signer`'s key. `moment` (seconds) stands still, or None for now.

    The query's nonce comes back in the token, as RFC 3161 (2.4.2) demands and the signing engine checks; it
    is random, so two signatures with timestamps are never the same bytes.
    """

    def __init__(self, signer: Signer, *, moment: float | None = None) -> None:
        """Prepare the certificates in the form that tokens carry."""
        self._signer = signer
        self._moment = moment
        leaf, root = _certificate(signer.certificate), _certificate(signer.issuer)
        self._certificates = [leaf, root]
        self._sid = _sid(leaf)
        self._type = _attribute("content_type", "tst_info")
        self._essence = _attribute("signing_certificate_v2", _essence(leaf))
        self._digest = _solid(algos.DigestAlgorithm({"algorithm": "sha256"}))
        self._algorithm = _solid(algos.SignedDigestAlgorithm({"algorithm": "rsassa_pkcs1v15"}))

    def answer(self, request: Request) -> Response:
        """Serve POST of a TimeStampReq."""
        if request.method != "POST":
            return Response(405, b"POST a timestamp query\n", "text/plain")
        return Response(200, self.reply(request.body()), REPLY)

    def reply(self, query: bytes) -> bytes:
        """Return a TimeStampResp (DER): granted, or a rejection with its reason."""
        try:
            asked = tsp.TimeStampReq.load(query, strict=True)
            imprint = asked["message_imprint"]
            algorithm = imprint["hash_algorithm"]["algorithm"].native
            digest = imprint["hashed_message"].native
            nonce = asked["nonce"].native
        except (ValueError, TypeError):
            return _rejection("bad_data_format", "not a TimeStampReq")
        if LENGTHS.get(algorithm) != len(digest):
            return _rejection("bad_alg", f"{algorithm} with {len(digest)} bytes")
        info = self._info(imprint, digest, nonce)
        token = self._token(info, bool(asked["cert_req"].native))
        response = {"status": {"status": "granted"}, "time_stamp_token": token}
        return bytes(tsp.TimeStampResp(response).dump())

    def _info(self, imprint: tsp.MessageImprint, digest: bytes, nonce: int | None) -> tsp.TSTInfo:
        moment = datetime.now(UTC) if self._moment is None else datetime.fromtimestamp(self._moment, UTC)
        info = {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": imprint,
            # From the imprint: the same code gets the same serial in every run.
            "serial_number": int.from_bytes(hashlib.sha256(digest).digest()[:8], "big") >> 1,
            "gen_time": moment.replace(microsecond=0),
            "accuracy": {"seconds": 1},
        }
        return tsp.TSTInfo(info if nonce is None else {**info, "nonce": nonce})

    def _token(self, info: tsp.TSTInfo, with_certificates: bool) -> cms.ContentInfo:
        content = info.dump()
        attributes = _solid(
            cms.CMSAttributes(
                [
                    self._type,
                    _attribute("signing_time", cms.Time({"utc_time": info["gen_time"].native})),
                    _attribute("message_digest", hashlib.sha256(content).digest()),
                    self._essence,
                ]
            )
        )
        signature = self._signer.key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256())
        signed = {
            "version": "v3",
            "digest_algorithms": [self._digest],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
            "signer_infos": [_solid(self._signer_info(attributes, signature))],
        }
        if with_certificates:
            signed["certificates"] = self._certificates
        whole = _solid(cms.SignedData(signed))
        return _solid(cms.ContentInfo({"content_type": "signed_data", "content": whole}))

    def _signer_info(self, attributes: cms.CMSAttributes, signature: bytes) -> cms.SignerInfo:
        return cms.SignerInfo(
            {
                "version": "v1",
                "sid": self._sid,
                "digest_algorithm": self._digest,
                "signed_attrs": attributes,
                "signature_algorithm": self._algorithm,
                "signature": signature,
            }
        )


def _solid(value: Any) -> Any:
    """Return the value read back from its own bytes: asn1crypto copies those instead of rebuilding them."""
    return type(value).load(value.dump())


def _attribute(kind: str, value: object) -> cms.CMSAttribute:
    return _solid(cms.CMSAttribute({"type": kind, "values": [value]}))


def _sid(leaf: x509.Certificate) -> cms.SignerIdentifier:
    serial = {"issuer": leaf.issuer, "serial_number": leaf.serial_number}
    return cms.SignerIdentifier("issuer_and_serial_number", cms.IssuerAndSerialNumber(serial))


def _essence(leaf: x509.Certificate) -> tsp.SigningCertificateV2:
    """Return the ESSCertIDv2 attribute (RFC 5816): which certificate signed."""
    return tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(leaf.dump()).digest()}]})


def _certificate(certificate: object) -> x509.Certificate:
    der = certificate.public_bytes(serialization.Encoding.DER)  # type: ignore[attr-defined]
    return x509.Certificate.load(der)


def _rejection(failure: str, text: str) -> bytes:
    status = {"status": "rejection", "status_string": [text], "fail_info": {failure}}
    return bytes(_Refusal({"status": status}).dump())


class _Refusal(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """A TimeStampResp without a token, which asn1crypto's own class does not allow."""

    _fields: ClassVar = [("status", tsp.PKIStatusInfo)]
