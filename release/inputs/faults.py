"""What the package clients' messages mean, as faults of ours."""

from __future__ import annotations

import re
from typing import Final

from commands import Result
from errors import Exit, Fault

UNREACHABLE: Final = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT"
    r"|EPROTO|ENOTCACHED|name resolution|Name or service not known|nodename nor servname"
    r"|Failed to establish a new connection|Connection refused|Network is unreachable|No route to host"
    r"|Connection timed out|Read timed out|ReadTimeoutError|ConnectTimeoutError|timed out|ProxyError"
    r"|dns error|error sending request|tcp connect error|CERTIFICATE_VERIFY_FAILED|Connection reset"
    r"|network is disabled",
    re.IGNORECASE,
)
NO_ROOM: Final = re.compile(r"ENOSPC|No space left on device|EDQUOT|Disk quota exceeded", re.IGNORECASE)
ABSENT: Final = re.compile(
    r"E404|ETARGET|No matching distribution|No matching version|not in this registry|no solution found"
    r"|was not found in the package registry|no wheels? (are|is) available|no wheels with a matching",
    re.IGNORECASE,
)

MISMATCH: Final = re.compile(r"hash mismatch|do not match the hashes|EINTEGRITY", re.IGNORECASE)


def mismatch(what: str, *, where: str, details: tuple[str, ...]) -> Fault:
    """The fault for a package whose content is not what a lock file pins."""
    return Fault(
        f"{what}: a package is not the file that was pinned",
        where=where,
        details=details,
        cure="do not use it: either the download was tampered with, or the lock file is wrong",
        status=Exit.INPUT_HASH,
    )


def offline(what: str, *, where: str, details: tuple[str, ...] = ()) -> Fault:
    """The fault for a registry or site that cannot be reached."""
    return Fault(
        f"{what} cannot be downloaded: the network is not reachable",
        where=where,
        details=details,
        cure="connect (behind a proxy: set HTTPS_PROXY) and run the same command again; "
        "what was already downloaded is kept",
        status=Exit.NETWORK,
    )


def no_room(what: str, *, where: str) -> Fault:
    """The fault for a client that ran out of disk."""
    return Fault(
        f"there is no room on the disk for {what}",
        where=where,
        cure="make room (about 2 GB) and run the same command again; nothing is lost",
        status=Exit.DISK,
    )


def absent(what: str, *, where: str, details: tuple[str, ...] = ()) -> Fault:
    """The fault for a package that the registry does not have."""
    return Fault(
        f"{what} is not to be had",
        where=where,
        details=details,
        cure="check name, version and tag of the pin in release.toml",
        status=Exit.INPUT_MISSING,
    )


def explain(result: Result, what: str, *, where: str) -> Fault:
    """Turn a package client's failure into the fault that says what to do."""
    text = result.text
    if MISMATCH.search(text):
        return mismatch(what, where=where, details=result.tail(12))
    if NO_ROOM.search(text):
        return no_room(what, where=where)
    if UNREACHABLE.search(text):
        said = [line.strip()[:200] for line in result.text.splitlines() if UNREACHABLE.search(line)]
        return offline(what, where=where, details=tuple(said[-1:]))
    if ABSENT.search(text):
        return absent(what, where=where, details=result.tail(3))
    return Fault(f"{what} could not be fetched", where=where, details=result.tail(), status=Exit.NETWORK)
