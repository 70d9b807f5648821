"""An ASGI application over HTTP/2 and TLS, as far as a stand-in needs it, on top of the `h2` library.

The certificate is made on the spot and trusted by nobody; clients are given it as a further authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError

Application = Callable[..., Any]


def certificate(path: Path) -> Path:
    """Make a key and a certificate for 127.0.0.1, in the PEM file `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    path.chmod(0o600)
    return path


def _text(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word


@dataclass
class Stream:
    """One request: what came of its body, and whether the client is still there."""

    scope: dict[str, Any]
    body: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None


class Connection:
    """One client's connection; every stream on it is a request to the application."""

    def __init__(self, app: Application, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.app, self.reader, self.writer = app, reader, writer
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, Stream] = {}
        self.window = asyncio.Event()

    async def serve(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        try:
            while data := await self.reader.read(65_536):
                for event in self.h2.receive_data(data):
                    self.handle(event)
                self.flush()
        except (ConnectionError, ProtocolError, ssl.SSLError):
            pass
        finally:
            for stream in self.streams.values():
                self.leave(stream)

    def handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self.begin(event)
            case DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.feed(event.stream_id, event.data, more=True)
            case StreamEnded():
                self.feed(event.stream_id, b"", more=False)
            case StreamReset() if event.stream_id in self.streams:
                self.leave(self.streams[event.stream_id])
            case WindowUpdated():
                self.window.set()

    def begin(self, event: RequestReceived) -> None:
        headers = {_text(key): _text(value) for key, value in event.headers}
        path, _, query = headers[":path"].partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "2", "method": headers[":method"],
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "scheme": "https", "server": ("127.0.0.1", 0),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items() if not k.startswith(":")],
        }  # fmt: skip
        stream = self.streams[event.stream_id] = Stream(scope)
        stream.task = asyncio.create_task(self.answer(event.stream_id, stream))

    def feed(self, number: int, data: bytes, *, more: bool) -> None:
        if number in self.streams:
            self.streams[number].body.put_nowait({"type": "http.request", "body": data, "more_body": more})

    def leave(self, stream: Stream) -> None:
        stream.body.put_nowait({"type": "http.disconnect"})
        if stream.task is not None:
            stream.task.cancel()

    async def answer(self, number: int, stream: Stream) -> None:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                head = [(key.decode(), value.decode()) for key, value in message["headers"]]
                self.h2.send_headers(number, [(":status", str(message["status"])), *head])
                self.flush()
            else:
                await self.send_data(number, message.get("body", b""), last=not message.get("more_body"))

        try:
            await self.app(stream.scope, stream.body.get, send)
        except asyncio.CancelledError:
            raise
        except Exception:  # the application wants the connection dropped: the stream is all there is to drop
            with contextlib.suppress(ProtocolError):
                self.h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
                self.flush()
        finally:
            self.streams.pop(number, None)

    async def send_data(self, number: int, data: bytes, *, last: bool) -> None:
        while data:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            if room <= 0:
                self.window.clear()
                await self.window.wait()
                continue
            self.h2.send_data(number, data[:room])
            data = data[room:]
            self.flush()
        if last:
            self.h2.end_stream(number)
        self.flush()
        await self.writer.drain()

    def flush(self) -> None:
        if data := self.h2.data_to_send():
            self.writer.write(data)


class Server:
    """HTTP/2 over TLS in front of `app`; a client that wants HTTP/1.1 is passed on to the port `plain`."""

    def __init__(self, app: Application, listener: socket.socket, pem: Path, plain: int) -> None:
        self.app, self.listener, self.plain = app, listener, plain
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pem)
        self.tls.set_alpn_protocols(["h2", "http/1.1"])
        self.requests = 0  # over HTTP/2

    async def serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self.listener, ssl=self.tls)
        async with server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = writer.get_extra_info("ssl_object")
        try:
            if secured is not None and secured.selected_alpn_protocol() == "h2":
                await Connection(self._count, reader, writer).serve()
            else:
                await self._pass_on(reader, writer)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _count(self, scope: dict[str, Any], receive: Application, send: Application) -> None:
        self.requests += 1
        await self.app(scope, receive, send)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.plain)
        ways = (_copy(reader, inner_writer), _copy(inner_reader, writer))
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
