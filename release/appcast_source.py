"""Feeds from where people have them: a file, or an address; never more than a feed may have."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appcast.xml import MAX_BYTES
from errors import Exit, Fault

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 60)
PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Source:
    """A feed's bytes, where they came from, and its address if it has one."""

    data: bytes
    name: str
    url: str | None


def read(target: str, session: requests.Session | None = None) -> Source:
    """Read a feed from a path or an http(s) address.

    Raises Fault: USAGE for another scheme, INPUT_MISSING, NETWORK, or APPCAST for more than `MAX_BYTES`, of
    which no more than that is read.
    """
    scheme, separator, _ = target.partition("://")
    if not separator:
        return Source(_file(Path(target)), target, None)
    if scheme.lower() not in ("http", "https"):
        raise Fault(
            f"feeds are fetched over http and https, not {scheme}",
            where=target,
            cure="give an http(s) address or a path",
            status=Exit.USAGE,
        )
    return Source(_fetch(target, session), target, target)


def too_big(size: int, where: object) -> Fault:
    """Return the fault for a feed of more bytes than are read."""
    return Fault(
        f"the feed has {size:,} bytes or more; no more than {MAX_BYTES:,} are read",
        where=where,
        cure="check that this is a feed",
        status=Exit.APPCAST,
    )


def _file(path: Path) -> bytes:
    if not path.is_file():
        raise Fault(
            "there is no such file",
            where=path,
            cure="make a release, or name a feed",
            status=Exit.INPUT_MISSING,
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Fault(
            f"the feed cannot be read: {error.strerror}", where=path, status=Exit.INPUT_MISSING
        ) from error
    if len(data) > MAX_BYTES:
        raise too_big(path.stat().st_size, path)
    return data


def _fetch(url: str, session: requests.Session | None) -> bytes:
    import requests

    try:
        with closing((session or requests.Session()).get(url, stream=True, timeout=TIMEOUT)) as response:
            if response.status_code != 200:
                raise Fault(
                    f"the feed's address answers {response.status_code}", where=url, status=Exit.NETWORK
                )
            return _body(response, url)
    except (requests.RequestException, ValueError) as error:
        raise Fault(
            f"the feed cannot be fetched: {type(error).__name__}",
            where=url,
            details=(str(error),),
            cure="check the address and the network",
            status=Exit.NETWORK,
        ) from error


def _body(response: requests.Response, url: str) -> bytes:
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES:
        raise too_big(int(announced), url)
    data = bytearray()
    for piece in response.iter_content(PIECE):
        data += piece
        if len(data) > MAX_BYTES:
            raise too_big(len(data), url)
    return bytes(data)
