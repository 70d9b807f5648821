"""Fetching pictures: what may be reached, and how much patience and memory it may cost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.openai.errors import ApiError
from app.openai.images import MAX_IMAGE
from app.server import fetch
from app.server.fetch import is_public

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1", "2001:0:1::1", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "fec0::1", "nonsense", "",
    ],
)  # fmt: skip
async def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
async def test_public(address: str) -> None:
    assert is_public(address)


Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def site(answer: bytes | Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(head, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def anywhere(address: str) -> bool:
    return True


def answer(body: bytes, head: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {head}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def fetched(port: int, path: str = "/a.png?b=c d", **named: Any) -> bytes:
    return (await fetch.fetch(f"http://127.0.0.1:{port}{path}", allowed=anywhere, **named)).data


async def refused(port: int, words: str, **named: Any) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        await fetched(port, **named)
    assert caught.value.status == 400


async def test_a_picture() -> None:
    heads: list[bytes] = []

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n" + PNG[:8] + b"\r\n")
        writer.write(b"8\r\n" + PNG[8:] + b"\r\n0\r\n\r\n")

    async with site(handle) as port:
        assert await fetched(port) == PNG
        assert heads[0].startswith(b"GET /a.png?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_a_picture_that_ends_with_the_connection() -> None:
    async with site(b"HTTP/1.0 200 OK\r\n\r\n" + PNG) as port:
        assert await fetched(port) == PNG


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(b"", "404 Not Found"), "answered 404"),
        (answer(b"<html>"), "neither PNG nor JPEG"),
        (answer(b""), "empty"),
        (answer(PNG + bytes(MAX_IMAGE)), "larger than"),
        (b"nonsense\r\n\r\n", "could not be fetched"),
        (b"", "hung up"),
        (b"HTTP/1.1 200 OK\r\n", "hung up"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "too many headers|could not be fetched"),
        (answer(b"", "302 Found"), "to nowhere"),
        (answer(b"", "302 Found", "Location: file:///etc/passwd"), "http"),
        (answer(b"", "302 Found", "Location: data:image/png;base64,aGk="), "neither|something else"),
        (answer(b"", "302 Found", "Location: http://[::1"), "something else"),
        (answer(b"", "302 Found", "Location: /again"), "too often"),
    ],
)
async def test_answers_that_are_no_picture(said: bytes, words: str) -> None:
    async with site(said) as port:
        await refused(port, words)


async def test_an_endless_picture_is_not_read_to_its_end() -> None:
    sent = 0

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + PNG)
        while True:
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    async with site(handle) as port:
        await refused(port, "larger than")
    assert sent < 20 * MAX_IMAGE


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n\r\n\x89"])
async def test_a_server_that_dawdles(start: bytes) -> None:
    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        await asyncio.sleep(5)

    async with site(handle) as port:
        began = asyncio.get_running_loop().time()
        await refused(port, "within 0.2 s", timeout=0.2)
        assert asyncio.get_running_loop().time() - began < 2


async def test_redirects_are_followed() -> None:
    async with site(answer(PNG)) as there:
        moved = answer(b"", "302 Found", f"Location: http://localhost:{there}/x.png")
        async with site(moved) as here:
            assert await fetched(here) == PNG


async def test_a_redirect_into_the_own_network_is_refused() -> None:
    """The first host counts as public; where it leads does not."""
    inside = asyncio.Event()

    async def handle(head: bytes, writer: asyncio.StreamWriter) -> None:
        inside.set()
        writer.write(answer(PNG))

    async with site(handle) as there:
        server = await asyncio.start_server(_redirecting(f"http://127.0.0.1:{there}/"), "127.0.0.2", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ApiError, match="private or loopback"):
            await fetch.fetch(f"http://127.0.0.2:{port}/", allowed=lambda address: address == "127.0.0.2")
        server.close()
    assert not inside.is_set()


def _redirecting(location: str) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"", "302 Found", f"Location: {location}"))
        await writer.drain()
        writer.close()

    return handle


async def test_a_name_that_changes_its_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is public when it is checked and loopback ever after: it is looked up only once."""
    asked: list[str] = []
    connected: list[str] = []
    loop = asyncio.get_running_loop()

    async def lookup(host: str, port: int, **named: Any) -> Any:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(host: str, port: int, **named: Any) -> Any:
        connected.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(loop, "getaddrinfo", lookup)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    with pytest.raises(ApiError):
        await fetch.fetch("http://rebind.example/a.png")
    assert asked == ["rebind.example"]
    assert connected == ["93.184.215.14"]  # the address that was checked, not the name


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def lookup(host: str, port: int, **named: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    with pytest.raises(ApiError, match="private or loopback"):
        await fetch.fetch("http://both.example/a.png")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]"]
)
async def test_other_spellings_of_loopback(host: str) -> None:
    with pytest.raises(ApiError, match=r"private or loopback|was not found"):
        await fetch.fetch(f"http://{host}:9/a.png")


async def test_a_certificate_of_nobody_is_refused(tmp_path: Path) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    async with site(answer(PNG), context) as port:
        url = f"https://localhost:{port}/a.png"
        with pytest.raises(ApiError, match="could not be fetched"):
            await fetch.fetch(url, allowed=anywhere)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fetch, "_trust", lambda: trusting)
            assert (await fetch.fetch(url, allowed=anywhere)).data == PNG
