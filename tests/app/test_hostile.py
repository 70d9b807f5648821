"""Whatever comes, from a client or from the backend: a typed error, nothing given away, and it serves on."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from starlette.testclient import TestClient

from app.discretion import discreet
from app.server.build import build
from app.server.listening import Address
from app.server.protocol import MAX_HEAD
from app.settings import Settings
from release.bench.parties import memory
from tests.app.conftest import (
    KEY,
    ROOT,
    App,
    RunFailed,
    ScriptedBridge,
    Served,
    environment_of,
    served,
    wait_for,
)
from tests.standins.cursor import CursorStandIn

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
MEGABYTE = 1024 * 1024
RUN_TIMEOUT = 2.0


@dataclass
class Target:
    """A whole server with its real bridge, and the backend behind it."""

    server: Served
    cursor: CursorStandIn
    private: tuple[str, ...]

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.server.url.removeprefix("http://").partition(":")
        return host, int(port)

    def post(self, body: bytes, path: str = CHAT, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def ask(self, content: Any, *, stream: bool = False) -> tuple[int, bytes]:
        body = {"messages": [{"role": "user", "content": content}], "stream": stream}
        return self.post(json.dumps(body).encode())

    def raw(self, data: bytes, seconds: float = 5) -> bytes:
        """What is answered to `data` until the server hangs up."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            with contextlib.suppress(ConnectionError):  # it may hang up before it has all
                connection.sendall(data)
            return receive(connection)

    def serves(self) -> None:
        status, body = self.ask("hi")
        assert status == 200, body
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hello from the stand-in"


def receive(connection: socket.socket) -> bytes:
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65_536):
            found += data
    return bytes(found)


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory, bridge_js: Path, bun: Path) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("hostile") / "data"
    with CursorStandIn() as cursor:
        one = Settings(data, key=KEY, backend_url=cursor.url, bridge_js=bridge_js, runtime=bun)
        timeout = {"CURSOR_SDK_BRIDGE_RUN_TIMEOUT_MS": str(int(RUN_TIMEOUT * 1000))}
        with served(environment_of(one) | timeout) as server:
            wait_for(lambda: health(server.url)["status"] == "ready")
            yield Target(server, cursor, (str(data), str(bridge_js.parent)))
            assert server.stop() == 0
        assert not [line for line in server.said if "Traceback" in line]


@pytest.fixture
def target(alive: Target) -> Iterator[Target]:
    """The server, which must serve after every test."""
    yield alive
    alive.serves()


def health(url: str) -> Any:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        return json.load(connection.getresponse())


def typed(status: int, body: bytes, private: tuple[str, ...] = ()) -> dict[str, Any]:
    """The error in `body`, which must have OpenAI's shape and give nothing away."""
    assert 400 <= status < 600
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    tells_nothing(body, private)
    return dict(error)


def tells_nothing(body: bytes, private: tuple[str, ...] = ()) -> None:
    text = body.decode()
    for secret in (KEY, str(ROOT), str(Path.home()), "Traceback", 'File "', ".mjs", "bridge.js", *private):
        assert secret not in text, text


# --- bodies ------------------------------------------------------------------------------------------

MALFORMED = {
    "empty": b"",
    "brace": b"{",
    "null": b"null",
    "array": b"[]",
    "text": b'"x"',
    "number": b"1e999999",
    "not utf-8": b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "utf-16": '{"messages": []}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"messages": []}',
    "lone surrogate": b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    "half a surrogate": b'{"messages": [{"role": "user", "content": "\\ud8',
    "nan": b'{"messages": NaN}',
    "trailing": b'{"messages": []} {}',
    "single quotes": b"{'messages': []}",
    "zeros": b"\0" * 1000,
    "deep arrays": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "deep within": b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep and whole": b'{"tools": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
    "many keys": b"{" + b",".join(b'"%d":0' % number for number in range(200_000)) + b"}",
    "endless number": b'{"n": ' + b"9" * 100_000 + b"}",
}


@pytest.mark.release
@pytest.mark.parametrize("path", [CHAT, RESPONSES, "/v1/completions"])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bodies(target: Target, body: bytes, path: str) -> None:
    before = len(target.cursor.runs)
    status, answer = target.post(body, path)
    assert status == 400
    typed(status, answer, target.private)
    assert len(target.cursor.runs) == before


@pytest.mark.release
@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
)
def test_bodies_that_are_not_json(target: Target, kind: str) -> None:
    status, answer = target.post(
        b'{"messages": [{"role": "user", "content": "hi"}]}', **{"content-type": kind}
    )
    assert status == 415
    typed(status, answer, target.private)


@pytest.mark.release
def test_a_huge_body_is_refused_before_it_is_read(target: Target) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    answer = target.raw(f"{head}Content-Length: {64 * MEGABYTE + 1}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    typed(413, answer.partition(b"\r\n\r\n")[2], target.private)


@pytest.mark.release
@pytest.mark.slow
def test_a_huge_body_without_a_length_costs_no_more_than_the_bound(target: Target) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
    answer = target.raw(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 80, 30)
    assert answer.startswith(b"HTTP/1.1 413 ") or not answer  # hung up on while it still sends
    assert memory(target.server.process.pid) < 400


@pytest.mark.release
def test_a_long_text_is_no_trouble(target: Target) -> None:
    status, _ = target.ask("x" * (8 * MEGABYTE))
    assert status == 200


# --- HTTP itself ---------------------------------------------------------------------------------------

NO_HTTP = {
    "noise": bytes(range(256)) * 4,
    "tls": bytes.fromhex("16030100c8010000c40303") + b"\0" * 200,
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "no version": b"GET /health\r\n\r\n",
    "folded": b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    "null in a header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n",
}


@pytest.mark.release
@pytest.mark.parametrize("data", NO_HTTP.values(), ids=NO_HTTP)
def test_what_is_not_http(target: Target, data: bytes) -> None:
    answer = target.raw(data)
    assert answer.startswith(b"HTTP/1.1 4") or not answer
    tells_nothing(answer, target.private)


@pytest.mark.release
@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/%ff%fe",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/%00",
        "/%",
        "//",
        "/v1/" + "a" * 9000,
    ],
)
def test_strange_paths(target: Target, path: str) -> None:
    answer = target.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    status, body = int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]
    assert status in (400, 404)
    typed(status, body, target.private)


@pytest.mark.release
@pytest.mark.parametrize("ended", [True, False])
def test_headers_are_bounded(target: Target, ended: bool) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(MAX_HEAD // 1000 + 5))
    answer = target.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n" * ended)
    assert answer.startswith(b"HTTP/1.1 431 ")
    typed(431, answer.partition(b"\r\n\r\n")[2], target.private)


@pytest.mark.release
@pytest.mark.slow
def test_clients_that_send_a_byte_now_and_then_are_hung_up_on(target: Target) -> None:
    from app.server.protocol import HEAD_TIMEOUT

    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(target.address, timeout=HEAD_TIMEOUT + 5))
            for _ in range(100)
        ]
        drip = itertools.chain(b"GET /health HTTP/1.1\r\nX: ", itertools.repeat(ord("y")))
        while time.monotonic() - began < HEAD_TIMEOUT - 2:
            byte = bytes([next(drip)])
            for connection in slow:
                connection.sendall(byte)
            target.serves()  # all the while
            time.sleep(0.5)
        for connection in slow:
            answer = receive(connection)
            assert answer.startswith(b"HTTP/1.1 408 ") or not answer
    assert time.monotonic() - began < HEAD_TIMEOUT + 5


# --- pictures ------------------------------------------------------------------------------------------


def picture(data: bytes, kind: str = "image/png") -> list[dict[str, Any]]:
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": url}}]


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG of one bit a pixel; `data` is what its pixels are packed in."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


SMALL = png(1, 1, zlib.compress(b"\0\0"))


@pytest.mark.release
def test_a_picture_as_big_as_may_be_and_one_byte_more(target: Target) -> None:
    padding = MEGABYTE - len(SMALL)
    assert target.ask(picture(SMALL + b"\0" * padding))[0] == 200
    status, body = target.ask(picture(SMALL + b"\0" * (padding + 1)))
    assert (status, typed(status, body, target.private)["param"]) == (400, "image")


@pytest.mark.release
def test_a_picture_that_unpacks_to_gigabytes_is_never_unpacked(target: Target) -> None:
    """A PNG's pixels pack a thousandfold: 1 GB here."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"\0" * MEGABYTE) for _ in range(900)) + packer.flush()
    bomb = png(60_000, 120_000, packed)
    assert len(bomb) <= MEGABYTE
    before, began = memory(target.server.process.pid), time.monotonic()
    status, _ = target.ask(picture(bomb))
    assert status in (200, 400)
    assert time.monotonic() - began < 5
    assert memory(target.server.process.pid) - before < 50


@pytest.mark.release
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "image/png"),
        (b"GIF89a" + b"\0" * 20, "image/png"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
        (b"MZ" + b"\0" * 100, "image/jpeg"),
        (b"\x89PN", "image/png"),
    ],
)
def test_what_is_no_picture(target: Target, data: bytes, kind: str) -> None:
    status, body = target.ask(picture(data, kind))
    assert (status, typed(status, body, target.private)["param"]) == (400, "image")


@pytest.mark.release
@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,!!!!",
        "data:image/png;base64,A",
        "data:image/png,abc",
        "data:",
        "",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "http://",
        "http://localhost:{port}/a.png",
        "http://127.0.0.1:{port}/a.png",
        "http://127.1:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://0x7f000001:{port}/a.png",
        "http://0.0.0.0:{port}/a.png",
        "http://[::1]:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://user@127.0.0.1:{port}/a.png",
        "http://10.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/a.png",
    ],
)
def test_pictures_from_where_none_may_come(target: Target, url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(0.1)
        url = url.replace("{port}", str(inside.getsockname()[1]))
        status, body = target.ask([{"type": "image_url", "image_url": {"url": url}}])
        assert (status, typed(status, body, target.private)["param"] in ("image", "image_url")) == (400, True)
        with pytest.raises(TimeoutError):
            inside.accept()


# --- clients that vanish ---------------------------------------------------------------------------------


def request_of(content: str, *, stream: bool = True) -> bytes:
    body = json.dumps({"messages": [{"role": "user", "content": content}], "stream": stream}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def reset(connection: socket.socket) -> None:
    """Close as a killed program's connection may: with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.release
@pytest.mark.parametrize("end", [reset, socket.socket.close], ids=["reset", "close"])
def test_clients_that_vanish_in_the_middle_of_a_stream(target: Target, end: Any) -> None:
    first = len(target.cursor.runs)
    for _ in range(10):
        connection = socket.create_connection(target.address, timeout=10)
        connection.sendall(request_of("[[scenario:slow count=500 delay=0.02]]"))
        with connection.makefile("rb") as answer:
            assert any(line.startswith(b"data: ") for line in answer)
        end(connection)
    wait_for(lambda: len(target.cursor.runs) >= first + 10)
    wait_for(lambda: all(run.client_left for run in target.cursor.runs[first : first + 10]), RUN_TIMEOUT)


@pytest.mark.release
def test_clients_that_vanish_before_they_have_asked(target: Target) -> None:
    whole, first = request_of("never"), len(target.cursor.runs)
    for cut in (0, 1, 20, len(whole) // 2, len(whole) - 1):
        connection = socket.create_connection(target.address, timeout=10)
        connection.sendall(whole[:cut])
        reset(connection)
    time.sleep(0.3)
    assert len(target.cursor.runs) == first


@pytest.mark.release
@pytest.mark.slow
def test_a_client_that_does_not_read_holds_up_nobody(target: Target) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(target.address)
            connection.sendall(request_of("[[scenario:big size=3000000]]"))
        before = memory(target.server.process.pid)
        for _ in range(5):
            target.serves()
        assert memory(target.server.process.pid) - before < 100


# --- a backend that fails -----------------------------------------------------------------------------

FAILURES = {
    "cut": {502, 503},
    "cut_at_once": {502, 503},
    "garbage": {502, 503},
    "no_turn_end": {502, 503},
    "error_midway": {502},
    "rate_limit": {429},
    "usage_limit": {429},
    "unavailable": {503},
    "bad_model": {400},
    "unauthenticated": {401},
    "http_error status=500": {502, 503},
    "http_error status=503": {503},
    "http_error status=429": {429},
    "http_error status=403": {401, 403, 502},
    "http_error status=404": {400, 404, 502},
    "hang": {504},
    "stuck": {504},
    "silence": {504},
}


@pytest.mark.release
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("scenario", FAILURES)
def test_a_backend_that_fails(target: Target, scenario: str, stream: bool) -> None:
    status, body = target.ask(f"[[scenario:{scenario}]]", stream=stream)
    tells_nothing(body, target.private)
    if status != 200:
        typed(status, body, target.private)
        assert status in FAILURES[scenario], body
        return
    assert stream  # something was said before it failed
    *_, last = body.decode().strip().split("\n\n")
    assert last.startswith("event: error\ndata: ")
    error = json.loads(last.partition("data: ")[2])["error"]
    assert (error["type"], error["code"]) == ("cursor_error", "cursor_stream_error")


@pytest.mark.release
def test_a_backend_that_is_not_there(tmp_path: Path, bridge_js: Path, bun: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    one = Settings(tmp_path / "data", key=KEY, backend_url=url, bridge_js=bridge_js, runtime=bun)
    with served(environment_of(one)) as server:
        wait_for(lambda: health(server.url)["status"] == "ready")
        target = Target(server, CursorStandIn(), (str(tmp_path),))
        status, body = target.ask("hi")
        assert status in (502, 503)
        typed(status, body, target.private)
        assert health(server.url)["status"] == "ready"
        assert server.stop() == 0


LEAKING = f"ENOENT: open '{Path.home()}/private/{{}}' with Bearer {KEY} at run (/opt/x/bridge.js:1:2)"


@pytest.mark.parametrize(
    "kind", ["internal", "request", "authentication", "unavailable", "bridge", "timeout"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_quotes_secrets_is_cleaned(app: App, kind: str, stream: bool) -> None:
    app.bridge.script = (RunFailed(kind, LEAKING),)
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": stream}
    answer = app.client.post(CHAT, json=body)
    typed(answer.status_code, answer.content)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Usage limit. See https://cursor.com/dashboard/usage", None),
        ("[invalid_argument] and/or 1/2/3 of composer-2.5", None),
        ("spawn /opt/bun/bin/bun:12:3 failed", "spawn … failed"),
        ("at file:///Applications/x.app/bridge.js:9:1)", "at …)"),
        ("Bearer abc.def failed", "Bearer *** failed"),
        ("for key_0123456789abcdef", "for key_***"),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_what_is_left_of_a_message(message: str, said: str | None) -> None:
    assert discreet(message) == (message if said is None else said)


# --- anything at all ---------------------------------------------------------------------------------

JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats(allow_nan=False)
    | strategies.text(max_size=20) | strategies.sampled_from(["user", "text", "image_url", "json_schema"]),
    lambda inner: strategies.lists(inner, max_size=4) | strategies.dictionaries(
        strategies.sampled_from(["role", "content", "type", "text", "image_url", "url", "function", "name"])
        | strategies.text(max_size=8), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
MESSAGE = {"role": "user", "content": "hi"}
CHAT_FIELDS = [
    "model", "messages", "stream", "stream_options", "n", "logprobs", "top_logprobs", "audio", "modalities",
    "functions", "function_call", "background", "tools", "tool_choice", "response_format", "stop",
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "parallel_tool_calls", "user", "store",
]  # fmt: skip
RESPONSES_FIELDS = [
    "model", "input", "stream", "instructions", "previous_response_id", "store", "background", "tools",
    "tool_choice", "text", "max_output_tokens", "temperature", "top_p", "include", "reasoning", "truncation",
    "metadata", "parallel_tool_calls", "max_tool_calls", "conversation", "prompt",
]  # fmt: skip


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    one = Settings(tmp_path_factory.mktemp("scripted"), key=KEY)
    address = Address("127.0.0.1", 8787)
    with TestClient(build(one, address, ScriptedBridge(one)), base_url=address.url) as client:
        yield client


def check(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (
        200,
        400,
        404,
        422,
        502,
    )  # 502: the answer is not the JSON that was asked for
    if answer.status_code != 200:
        typed(answer.status_code, answer.content)


anything = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@anything
@given(name=strategies.sampled_from(CHAT_FIELDS), value=JSON)
def test_any_value_in_any_field_of_a_chat_completion(scripted: TestClient, name: str, value: Any) -> None:
    check(scripted, CHAT, {"messages": [MESSAGE], name: value})


@anything
@given(role=strategies.sampled_from(["system", "user", "assistant", "tool", "x"]), message=JSON, content=JSON)
def test_any_message(scripted: TestClient, role: str, message: Any, content: Any) -> None:
    check(scripted, CHAT, {"messages": [MESSAGE, message]})
    check(scripted, CHAT, {"messages": [{"role": role, "content": content, "tool_calls": message}]})
    check(
        scripted,
        CHAT,
        {"messages": [{"role": role, "content": [{"type": "image_url", "image_url": content}]}]},
    )


@anything
@given(name=strategies.sampled_from(RESPONSES_FIELDS), value=JSON)
def test_any_value_in_any_field_of_a_response(scripted: TestClient, name: str, value: Any) -> None:
    check(scripted, RESPONSES, {"input": "hi", name: value})


@anything
@given(
    kind=strategies.sampled_from(["message", "function_call", "function_call_output", "reasoning", "x"]),
    rest=JSON,
)
def test_any_input_item(scripted: TestClient, kind: str, rest: Any) -> None:
    item = {"type": kind, **(rest if isinstance(rest, dict) else {"content": rest})}
    check(scripted, RESPONSES, {"input": [item]})
    check(scripted, RESPONSES, {"input": rest})


@anything
@given(body=strategies.binary(max_size=200))
def test_any_bytes(scripted: TestClient, body: bytes) -> None:
    for path in (CHAT, RESPONSES, "/v1/completions"):
        answer = scripted.post(path, content=body, headers={"content-type": "application/json"})
        typed(answer.status_code, answer.content)
