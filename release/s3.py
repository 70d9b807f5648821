"""boto3 as Cloudflare R2 wants it, and what its errors mean.

R2 differs from S3 where it hurts: region `auto`, path style, and no checksum trailers, boto3's default since
1.36, which R2 answers with 501 or a misleading Unauthorized. The client is deaf to the user's own AWS set-up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from typing import TYPE_CHECKING, Any

from errors import Exit, Fault
from release.config import is_loopback

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 6


class Changed(Fault):
    """A condition did not hold: the object exists already, is gone, or is another one by now.

    `retried`: the request was sent more than once, so it may have been ourselves.
    """

    status = Exit.CONFLICT
    retried = False


class Absent(Exception):
    """The store's 404. Never leaves `release.store`, whose methods say what it means to each."""

    retried = False


# Variables of a botocore session that would let the user's AWS set-up change what is sent where.
_ISOLATED: dict[str, tuple[Any, Any, Any, Any]] = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def client(
    endpoint: str, access_key: str, secret_key: str, region: str = "auto", *, connections: int = 6
) -> S3Client:
    """Make the boto3 client that R2 gets along with. It reads no AWS profile, no AWS environment, no IMDS."""
    import boto3
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(session_vars=_ISOLATED)
    core.register_component("data_loader", _loader())
    settings = Config(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "max_attempts": ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=connections,
        proxies={} if is_loopback(endpoint) else None,
        # Hashing each part to sign it would take half of an upload's CPU. TLS guards the way, a single put
        # has its SHA-256, and what came in parts is read back and compared before anything points at it.
        s3={"addressing_style": "path", "payload_signing_enabled": False},
    )
    return boto3.session.Session(botocore_session=core).client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=settings,
    )


@cache
def _loader() -> Loader:
    """Keep what describes S3 for the next client: to read it takes most of the time to make one."""
    from botocore.loaders import create_loader

    return create_loader()


@contextmanager
def faults(where: str) -> Iterator[None]:
    """Turn boto3's errors into Faults, an answer of 404 into Absent."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        fault = _fault(error.response, where)
        if isinstance(fault, Changed | Absent):
            fault.retried = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
        raise fault from error
    except BotoCoreError as error:
        raise Fault(
            f"the bucket cannot be reached: {error}",
            where=where,
            cure="check the network and the endpoint, then run it again: it goes on where it stopped",
            status=Exit.NETWORK,
        ) from error


def _fault(response: Mapping[str, Any], where: str) -> Exception:
    """Turn an error answer into a Fault; 404 into Absent."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = f"the bucket answered {status} {code}".strip()
    if code == "NoSuchBucket":
        return Fault("there is no such bucket", where=where, cure="create it first", status=Exit.PUBLISH)
    if status == 404:
        return Absent(where)
    if status == 412 or code == "ConditionalRequestConflict":
        return Changed("somebody else has changed the object", where=where, cure="run it again")
    if code in ("RequestTimeTooSkewed", "RequestExpired"):
        said = response["ResponseMetadata"].get("HTTPHeaders", {}).get("date", "unknown")
        details = (f"its time: {said}", f"yours:    {formatdate(usegmt=True)}")
        cure = "set this machine's clock and run it again"
        return Fault(
            f"{message}: the clocks differ", where=where, details=details, cure=cure, status=Exit.SECRET
        )
    if code in ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"):
        cure = "make a new access key, put it where release.toml says, and run it again: it goes on from here"
        return Fault("the bucket's access key has expired", where=where, cure=cure, status=Exit.SECRET)
    if status in (401, 403):
        cure = "check the bucket's access key and secret, that they may write, and this machine's clock"
        return Fault(message, where=where, cure=cure, status=Exit.SECRET)
    if status == 507:
        return Fault("the bucket's disk is full", where=where, details=_said(response), status=Exit.DISK)
    if status >= 500 or status == 429:
        return Fault(message, where=where, cure="try again later", status=Exit.NETWORK)
    return Fault(message, where=where, details=_said(response), status=Exit.PUBLISH)


def _said(response: Mapping[str, Any]) -> tuple[str, ...]:
    said = response.get("Error", {}).get("Message")
    return (str(said),) if said else ()
