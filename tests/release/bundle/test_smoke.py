"""The smoke test itself, on a bundle of a few lines whose faults are known."""

from __future__ import annotations

import os
import plistlib
import time
from pathlib import Path

import pytest

from errors import Exit, Fault
from release.bundle.compile import compile_file
from release.bundle.smoke import SmokeReport, smoke
from tests.release.bundle import tiny

STDLIB = Path(os.__file__).parent

# As much of a server as the smoke test asks for.
SERVER = """
import json, os, signal, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
{extra}
class Answer(BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def answer(self, status, body, kind="application/json"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("content-security-policy", "{policy}")
        if "ticket" in self.path:
            self.send_header("set-cookie", "pass=1; path=/app")
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.path == "/health":
            bridge = {{"runtime": "bun", "version": "1", "sandbox": "bubblewrap", "problem": None}}
            self.answer(200, {{"status": "ready", "version": "{version}", "bridge": bridge}})
        elif self.path == "/v1/models":
            self.answer(200, {{"object": "list", "data": [{{"id": "m", "object": "model"}}]}})
        elif self.path.startswith("/app/") and "gone" not in self.path:
            known = "ticket" in self.path or "pass=1" in self.headers.get("cookie", "") or {open}
            self.answer(200 if known else 403, '<a href="{link}">More</a>', "text/html")
        else:
            error = {{"message": "no", "type": "invalid_request_error", "param": None, "code": None}}
            self.answer({missing}, {{"error": error}})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if body["stream"]:
            chunk = json.dumps({{"choices": [{{"delta": {{"content": "Hello"}}}}]}})
            self.answer(200, f"data: {{chunk}}\\n\\n{end}", "text/event-stream")
        else:
            self.answer(200, {{"choices": [{{"message": {{"content": "Hello"}}}}]}})

def main():
    server = HTTPServer(("127.0.0.1", 0), Answer)
    print(f"Listening on http://127.0.0.1:{{server.server_port}}/v1", flush=True)
    threading.Thread(target=shell, args=(server.server_port,), daemon=True).start()
    server.serve_forever()
def shell(port):
    for line in sys.stdin:
        page = {{"type": "page", "url": f"http://127.0.0.1:{{port}}/app/enter?ticket=1"}}
        print(json.dumps(page, separators=(",", ":")), flush=True)
def end(*args): sys.exit(0)
signal.signal(signal.SIGTERM, end)
main()
"""
MODULES = (
    "http",
    "json",
    "encodings",
    "email",
    "urllib",
    "collections",
    "importlib",
    "re",
    "logging",
    "concurrent",
    "html",
)


def bundle(tmp_path: Path, *, leave_out: str = "", **changed: str) -> Path:
    """A bundle whose standard library is this interpreter's, as source, and whose app is SERVER."""
    app = tmp_path / "Tiny.app"
    library = app / f"Contents/Resources/lib/python{tiny.PYTHON}"
    library.mkdir(parents=True)
    for path in STDLIB.iterdir():
        if path.name != leave_out and (path.suffix == ".py" or path.name in MODULES):
            (library / path.name).symlink_to(path)
    dynload = library / "lib-dynload"
    dynload.mkdir()
    for path in (STDLIB / "lib-dynload").glob("*.so"):
        (dynload / f"{path.name.split('.')[0]}.so").write_bytes(tiny.macho())
    values = {
        "version": "1.2.3",
        "missing": "404",
        "end": "data: [DONE]\\n\\n",
        "extra": "",
        "link": "/app/more",
        "open": "False",
        "policy": "default-src 'none'",
        **changed,
    }
    (library / "app").mkdir()
    (library / "app/__init__.pyc").write_bytes(compile_file(no_module(tmp_path), "app/__init__.py"))
    return tiny.write(
        app,
        {
            "Contents/Info.plist": plistlib.dumps({"CFBundleShortVersionString": "1.2.3"}),
            "Contents/Resources/__boot__.py": SERVER.format(**values),
        },
    )


def no_module(tmp_path: Path, text: str = "") -> Path:
    path = tmp_path / "module.py"
    path.write_text(text)
    return path


def run(app: Path, *, natives: tuple[str, ...] = (), **options: object) -> SmokeReport:
    return smoke(
        app,
        bun=Path("/bin/true"),
        cursor_url="http://127.0.0.1:1",
        native=False,
        timeout=20,
        natives=natives,
        **options,  # type: ignore[arg-type]
    )


def failed(report: SmokeReport) -> list[str]:
    return [row.name for row in report.rows if not row.ok]


def test_a_good_bundle_passes(tmp_path: Path) -> None:
    report = run(bundle(tmp_path), expected="Hello")
    assert failed(report) == [], report
    assert report.rows[1].detail == "ready, version 1.2.3, bun 1 in bubblewrap"
    assert [row.name for row in report.rows] == [
        "starts",
        "/health",
        "/v1/models",
        "wrong route",
        "completion",
        "streamed completion",
        "pages",
        "stops",
        "own byte code",
        "every module",
    ]
    assert report.require() is report


def test_a_module_from_outside_is_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    tiny.write(outside, {"stranger.py": "x = 1\n"})
    app = bundle(tmp_path, extra=f"sys.path.append({str(outside)!r}); import stranger")
    report = run(app)
    assert failed(report) == ["own byte code"]
    assert "stranger" in report.rows[-2].detail
    with pytest.raises(Fault) as caught:
        report.require()
    assert caught.value.status == Exit.SMOKE
    assert "stranger" in caught.value.details[0]


def test_a_module_that_was_not_packed_is_named(tmp_path: Path) -> None:
    report = run(bundle(tmp_path, leave_out="socketserver.py"))
    assert failed(report)[0] == "starts"
    assert "No module named 'socketserver'" in report.rows[0].detail


def test_doing_without_a_native_module_is_noticed(tmp_path: Path) -> None:
    report = run(bundle(tmp_path), natives=("_socket", "_fast"))
    assert failed(report) == ["own byte code"]
    assert report.rows[-2].detail == "it did without _fast"


@pytest.mark.parametrize(
    ("changed", "row"),
    [
        ({"version": "9.9.9"}, "/health"),
        ({"missing": "200"}, "wrong route"),
        ({"end": ""}, "streamed completion"),
        ({"link": "/app/gone"}, "pages"),
        ({"open": "True"}, "pages"),
        ({"policy": "default-src *"}, "pages"),
    ],
)
def test_a_wrong_answer_is_noticed(tmp_path: Path, changed: dict[str, str], row: str) -> None:
    assert failed(run(bundle(tmp_path, **changed))) == [row]


def test_a_module_that_is_imported_late_and_was_not_packed_is_named(tmp_path: Path) -> None:
    app = bundle(tmp_path)
    own = app / f"Contents/Resources/lib/python{tiny.PYTHON}/app"
    (own / "late.pyc").write_bytes(compile_file(no_module(tmp_path, "import never_packed"), "app/late.py"))
    source = tiny.write(tmp_path / "source", {"app/late.py": "def f():\n    import nor_this, AppKit\n"})
    report = run(app, source=source)
    assert failed(report) == ["every module"]
    assert "app.late: ModuleNotFoundError: No module named 'never_packed'" in report.rows[-1].detail
    assert "nor_this: ModuleNotFoundError" in report.rows[-1].detail
    assert "AppKit" not in report.rows[-1].detail


def test_a_server_that_loads_the_macs_frameworks_is_noticed(tmp_path: Path) -> None:
    app = bundle(tmp_path, extra="import AppKit")
    library = app / f"Contents/Resources/lib/python{tiny.PYTHON}"
    (library / "AppKit.pyc").write_bytes(compile_file(no_module(tmp_path), "AppKit.py"))
    report = run(app)
    assert failed(report) == ["own byte code"]
    assert "the Mac's shell: AppKit" in next(row.detail for row in report.rows if row.name == "own byte code")


def test_another_text_than_expected_is_noticed(tmp_path: Path) -> None:
    assert failed(run(bundle(tmp_path), expected="Goodbye")) == ["completion", "streamed completion"]


def test_a_process_left_behind_is_noticed_and_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = "child = os.posix_spawn('/bin/sleep', ['sleep', '300'], {})\n"
    start += f"open({str(note)!r}, 'w').write(str(child))"
    report = run(bundle(tmp_path, extra=start), patience=1.5)
    assert failed(report) == ["stops"]
    assert "left a process behind" in next(row.detail for row in report.rows if row.name == "stops")
    deadline = time.monotonic() + 5
    while alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(note.read_text()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_cannot_be_tried_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        run(tmp_path / "absent.app")
    assert caught.value.status == Exit.SMOKE
