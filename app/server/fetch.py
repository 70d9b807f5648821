"""Fetch a picture that a request names by its URL, without becoming a way into the user's network.

Every name is looked up once, every address it has must be public, and the connection goes to that very
address: a name that means something else a moment later (DNS rebinding) changes nothing. Redirects are
followed a few times, each checked alike. Proxies of the environment are not used, since they would look names
up on their own. All of it is bounded in time and size.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import certifi
import httptools

from app.cursor.conversation import Image
from app.openai.errors import ApiError
from app.openai.images import MAX_IMAGE, Remote, bad_url, check, read_url

TIMEOUT = 10.0  # seconds for all of it
REDIRECTS = 3
MAX_HEAD = 32_768  # bytes of status line and headers
CHUNK = 65_536
AT_ONCE = 4  # addresses of a name that are tried
PORTS = {"http": 80, "https": 443}
HEADERS = "Accept: image/png, image/jpeg\r\nAccept-Encoding: identity\r\nConnection: close"
# What is_global lets through and still may lead inside: 6to4, Teredo, NAT64 and older ways to carry an IPv4
# address in an IPv6 one.
CARRIERS = [
    ipaddress.ip_network(text)
    for text in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
]

Allowed = Callable[[str], bool]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, multicast."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, ipaddress.IPv6Address) and (
        found.is_site_local or any(found in network for network in CARRIERS)
    ):
        return False
    return found.is_global and not found.is_multicast


async def fetch(url: str, *, allowed: Allowed = is_public, timeout: float = TIMEOUT) -> Image:
    """Fetch the PNG or JPEG at `url`. Raises ApiError 400, which says little of the other side."""
    try:
        async with asyncio.timeout(timeout):
            return check(await _follow(url, allowed))
    except TimeoutError:
        raise bad_url(f"The image could not be fetched within {timeout:g} s.") from None


async def _follow(url: str, allowed: Allowed) -> bytes:
    for _ in range(REDIRECTS + 1):
        answer = await _get(urlsplit(url), allowed)
        if answer.location is None:
            if answer.status != 200:
                raise bad_url(f"The image could not be fetched: its server answered {answer.status}.")
            return bytes(answer.body)
        url = _following(url, answer.location)
    raise bad_url("The image's server redirects too often.")


def _following(url: str, location: str) -> str:
    """Give the URL that `url` redirects to."""
    with contextlib.suppress(ValueError):
        found = read_url(urljoin(url, location))
        if isinstance(found, Remote):
            return found.url
    raise bad_url("The image's server redirects to something else than a URL.")


@dataclass(frozen=True, slots=True)
class _Got:
    status: int
    location: str | None
    body: bytearray


async def _get(url: SplitResult, allowed: Allowed) -> _Got:
    host = url.hostname or ""
    port = url.port or PORTS[url.scheme]
    addresses = await _look_up(host, port, allowed)
    try:
        reader, writer = await _connect(addresses, port, host if url.scheme == "https" else None)
        try:
            writer.write(_request(url))
            return await _Parser().read(reader)
        finally:
            writer.transport.abort()
    except (OSError, ssl.SSLError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise bad_url(f"The image could not be fetched ({type(error).__name__}).") from None


async def _look_up(host: str, port: int, allowed: Allowed) -> list[str]:
    """Give the addresses of `host`, or refuse if only one of them is not public."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise bad_url("The image's server was not found.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(map(allowed, addresses)):
        raise bad_url("image_url leads to a private or loopback address, which is refused.")
    return addresses[:AT_ONCE]


async def _connect(
    addresses: list[str], port: int, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that answers, with TLS for `name` if there is one."""
    context = None if name is None else _trust()
    problem: OSError = OSError("no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        except OSError as error:
            problem = error
    raise problem


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


def _request(url: SplitResult) -> bytes:
    host = (
        (url.hostname or "").encode("idna").decode()
        if ":" not in (url.hostname or "")
        else f"[{url.hostname}]"
    )
    port = "" if url.port in (None, PORTS[url.scheme]) else f":{url.port}"
    path = quote(url.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(url.query, safe='/?%:@!$&()*+,;=~-._')}" if url.query else ""
    return f"GET {path}{query} HTTP/1.1\r\nHost: {host}{port}\r\n{HEADERS}\r\n\r\n".encode("ascii")


class _Parser:
    """Reads one answer; keeps no more of it than a picture may have."""

    def __init__(self) -> None:
        self.location: str | None = None
        self.body = bytearray()
        self.headed = self.done = False
        self._parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep where a redirect leads."""
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note that the body follows."""
        self.headed = True

    def on_body(self, body: bytes) -> None:
        """Collect, up to the bound."""
        self.body += body[: MAX_IMAGE + 1 - len(self.body)]

    def on_message_complete(self) -> None:
        """Note the end."""
        self.done = True

    async def read(self, reader: asyncio.StreamReader) -> _Got:
        size = 0
        while not self.done and len(self.body) <= MAX_IMAGE:
            data = await reader.read(CHUNK)
            if not data:
                break
            size += len(data)
            self._parser.feed_data(data)
            if not self.headed and size > MAX_HEAD:
                raise bad_url("The image's server answers with too many headers.")
            if self.headed and self._redirects():
                break
        return self._got()

    def _redirects(self) -> bool:
        return self._parser.get_status_code() in (301, 302, 303, 307, 308)

    def _got(self) -> _Got:
        if not self.headed:
            raise _cut_short()
        redirects = self._redirects()
        if redirects and self.location is None:
            raise bad_url("The image's server redirects to nowhere.")
        return _Got(self._parser.get_status_code(), self.location if redirects else None, self.body)


def _cut_short() -> ApiError:
    return bad_url("The image's server hung up before it had answered.")
