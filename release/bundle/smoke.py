"""Start the packaged server and use it: does the bundle run on its own?

It is started as the Mac's shell does it, and spoken with over standard input and output. On a Mac the app's
own executable runs; elsewhere its byte code under this machine's Python, by `smoke_runner.py`, which tells if
anything was taken from outside the bundle. Cursor's side is a stand-in at `cursor_url`; the bridge is the
bundle's own file under a Bun for this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from errors import Exit, Fault
from release.bundle import imports, options, plist

RUNNER = Path(__file__).with_name("smoke_runner.py")
LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")
WAY_IN = re.compile(r'\{"type":"page","url":"([^"]+)"\}')
OPEN = '{"type":"open"}\n'
ASK = re.compile(r'\{"type":"ask","id":(\d+),"question":"login_item"')
ANSWER = '{{"type":"answer","id":{},"value":"off"}}\n'
PAGES = re.compile(r'(?:href|src)="(/app/[^"#?]*)"')
HTMX = "/app/static/htmx.min.js"
IMPORT_ALL = "--import-all"  # for smoke_runner.py, in the place of the app's arguments
MAC = frozenset(  # the shell's, not the server's
    {"AppKit", "Foundation", "PyObjCTools", "ServiceManagement", "UserNotifications", "WebKit", "objc"}
)
SERVE = ("serve", "--linked", "--port", "0")
OUTSIDE_STATUS = 3  # of smoke_runner.py
PATIENCE = 10.0  # seconds between SIGTERM and the end of the app and all it started
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One thing tried: what, whether it went well, and what was seen."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """What was tried, in order. `native` tells that the app's own executable ran, on a Mac."""

    rows: tuple[Row, ...]
    native: bool

    @property
    def ok(self) -> bool:
        """Whether everything went well."""
        return all(row.ok for row in self.rows)

    def require(self) -> SmokeReport:
        """Give the report itself, or raise Fault SMOKE with what failed."""
        failed = tuple(f"{row.name}: {row.detail}" for row in self.rows if not row.ok)
        if failed:
            raise Fault(
                "The packaged app doesn't work",
                details=failed,
                cure="a module named above is missing in the bundle? Add it to release/bundle/options.py",
                status=Exit.SMOKE,
            )
        return self


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried, and with what. `expected` is the text the stand-in answers with; "" for any."""

    server: Server
    app: Path
    url: str
    session: requests.Session
    timeout: float
    expected: str


def smoke(
    app: Path,
    *,
    bun: Path,
    cursor_url: str,
    cursor_key: str = "key_smoke",
    expected: str = "",
    packages: Path | None = None,
    native: bool | None = None,
    timeout: float = 60.0,
    patience: float = PATIENCE,
    natives: Sequence[str] = options.FAST_PATHS,
    source: Path | None = None,
) -> SmokeReport:
    """Start the app, use it, stop it; say how each of it went.

    `bun` is an executable for this machine, `packages` a site-packages folder with this machine's builds of
    the native modules (by default those this runs on), `timeout` in seconds for each answer, `patience`
    for the end after SIGTERM. `natives` are modules it must have loaded, so that it did not fall back to
    something slower. `source` is the repository that the app is from: all that its code imports, however
    late, is tried too. Nothing that the app started outlives this. Raises Fault SMOKE only if the app can't
    be tried at all.
    """
    native = sys.platform == "darwin" if native is None else native
    if not (app / "Contents/Resources/__boot__.py").is_file():
        raise Fault("There is no packaged app here", where=app, cure="./invoke release", status=Exit.SMOKE)
    with tempfile.TemporaryDirectory(prefix="smoke-") as folder:
        work = Path(folder).resolve()
        environment = _environment(work, bun.resolve(), cursor_url, cursor_key)
        found = work / "modules.json"
        argv = (*_argv(app.resolve(), packages, found, native=native), *SERVE)
        with _running(argv, environment, work) as server:
            rows = list(_use(app, server, timeout, expected))
            rows.append(server.stop(patience))
        if not native:
            rows.append(_own_modules(found, server.status, natives))
            argv = (*_argv(app.resolve(), packages, found), IMPORT_ALL, *_imported(source))
            rows.append(_every_module(argv, found, environment, work))
    return SmokeReport(tuple(rows), native)


def _argv(app: Path, packages: Path | None, found: Path, *, native: bool = False) -> tuple[str, ...]:
    if native:
        executable = str(plist.read(app / "Contents/Info.plist")["CFBundleExecutable"])
        return (str(app / "Contents/MacOS" / executable),)
    packages = packages or Path(sysconfig.get_path("platlib"))
    return (sys.executable, "-I", "-S", "-B", str(RUNNER), str(app), str(packages), str(found))


def _environment(work: Path, bun: Path, cursor_url: str, cursor_key: str) -> dict[str, str]:
    """Give an environment with nothing of this machine's: no PATH to find another Bun or Node on."""
    return {
        "HOME": str(work),
        "TMPDIR": str(work),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "API_FOR_CURSOR_DATA_DIR": str(work / "data"),
        "CURSOR_API_KEY": cursor_key,
        "CURSOR_BACKEND_URL": cursor_url,
        "CURSOR_SDK_BRIDGE_RUNTIME": str(bun),
    }


# -- the process -----------------------------------------------------------------------------------------


class Server:
    """The app as a process group of its own, and what it prints."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], work: Path) -> None:
        self.lines: list[str] = []
        self.status: int | None = None
        self._told = threading.Condition()
        self._process = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            if asked := ASK.match(text):
                self._write(ANSWER.format(asked[1]))
            self._tell(text)
        self._tell(None)

    def _tell(self, line: str | None) -> None:
        with self._told:
            self.lines += [] if line is None else [line]
            self._told.notify_all()

    def address(self, timeout: float) -> str | None:
        """Wait for the line that says where it listens; None if it ended or took too long."""
        port = self._wait(LISTENING, timeout)
        return f"http://127.0.0.1:{port}" if port else None

    def way_in(self, timeout: float) -> str | None:
        """Ask for an address for the window, and wait for it."""
        self._write(OPEN)
        return self._wait(WAY_IN, timeout)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which is noticed elsewhere
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def _wait(self, wanted: re.Pattern[str], timeout: float) -> str | None:
        """Wait for a line that has `wanted`, and give its group."""

        def found() -> str | None:
            return next((match[1] for line in self.lines if (match := wanted.search(line))), None)

        def over() -> bool:
            return not self._reader.is_alive() or self._process.poll() is not None

        deadline = time.monotonic() + timeout
        with self._told:
            while not found() and not over() and time.monotonic() < deadline:
                self._told.wait(0.1)
        return found()

    def stop(self, patience: float) -> Row:
        """End it as the system would, and see that nothing it started is left."""
        started = time.monotonic()
        self._signal(signal.SIGTERM, group=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.status = self._process.wait(patience)
        took = time.monotonic() - started
        left = self._others_left(patience - took)
        if self.status is None:
            return Row("stops", False, f"it still ran {patience:g} s after SIGTERM")
        if left:
            return Row("stops", False, "it left a process behind")
        ok = self.status in (0, OUTSIDE_STATUS)
        return Row("stops", ok, f"status {self.status} after {took:.1f} s" + ("" if ok else self.tail()))

    def _others_left(self, patience: float) -> bool:
        deadline = time.monotonic() + max(patience, 0.2)
        while self._group_lives():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.02)
        return False

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _signal(self, number: signal.Signals, *, group: bool) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number) if group else self._process.send_signal(number)

    def close(self) -> None:
        """End whatever is left, without asking."""
        self._signal(signal.SIGKILL, group=True)
        self._process.wait()
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def tail(self) -> str:
        """Give its last lines, to go after a detail."""
        return "".join(f"\n{line}" for line in self.lines[-LAST_LINES:])


@contextlib.contextmanager
def _running(argv: Sequence[str], environment: Mapping[str, str], work: Path) -> Iterator[Server]:
    server = Server(argv, environment, work)
    try:
        yield server
    finally:
        server.close()


# -- using it --------------------------------------------------------------------------------------------


def _use(app: Path, server: Server, timeout: float, expected: str) -> Iterator[Row]:
    started = time.monotonic()
    url = server.address(timeout)
    if url is None:
        yield Row("starts", False, f"it did not say where it listens{server.tail()}")
        return
    yield Row("starts", True, f"listens after {time.monotonic() - started:.2f} s")
    with requests.Session() as session:
        session.trust_env = False  # no proxy for a server on this machine
        subject = Subject(server, app, url, session, timeout, expected)
        for name, check in CHECKS:
            yield _try(name, check, subject, server)


def _try(name: str, check: Callable[[Subject], str], subject: Subject, server: Server) -> Row:
    try:
        return Row(name, True, check(subject))
    except (AssertionError, requests.RequestException, ValueError, KeyError, IndexError, TypeError) as error:
        return Row(name, False, f"{type(error).__name__}: {error}{server.tail()}")


def _need(truth: object, otherwise: str) -> None:
    if not truth:
        raise AssertionError(otherwise)


def check_health(subject: Subject) -> str:
    """Wait until the bridge is ready; the version must be the bundle's. Tell what runs it, in which walls."""
    deadline = time.monotonic() + subject.timeout
    while (found := _get(subject, "/health"))["status"] == "sdk_bridge_starting":
        _need(time.monotonic() < deadline, "the bridge did not get ready")
        time.sleep(0.05)
    _need(found["status"] == "ready", f"it says {found['status']}: {found['bridge'].get('problem')}")
    version = plist.read(subject.app / "Contents/Info.plist")["CFBundleShortVersionString"]
    _need(found["version"] == version, f"it says version {found['version']}, Info.plist {version}")
    bridge = found["bridge"]
    walls = f" in {bridge['sandbox']}" if bridge.get("sandbox") else ""
    return f"{found['status']}, version {version}, {bridge['runtime']} {bridge['version']}{walls}"


def check_models(subject: Subject) -> str:
    """List the models, in OpenAI's shape."""
    found = _get(subject, "/v1/models")
    _need(found["object"] == "list" and found["data"], "there are none")
    _need(all(model["object"] == "model" and model["id"] for model in found["data"]), "not OpenAI's shape")
    return ", ".join(model["id"] for model in found["data"])


def check_wrong_route(subject: Subject) -> str:
    """Ask for what isn't there: 404, with an error in OpenAI's shape."""
    answer = subject.session.get(f"{subject.url}/v1/nothing-here", timeout=subject.timeout)
    _need(answer.status_code == 404, f"status {answer.status_code}")
    error = answer.json()["error"]
    _need({"message", "type", "param", "code"} <= error.keys() and error["message"], "not OpenAI's shape")
    return f"404, {error['type']}"


def check_completion(subject: Subject) -> str:
    """Have a message answered through the bundle's own bridge."""
    answer = _complete(subject, stream=False)
    text = answer.json()["choices"][0]["message"]["content"]
    _need(text and subject.expected in text, f"it answered {text!r}")
    return repr(text)


def check_stream(subject: Subject) -> str:
    """Have the same answered piece by piece."""
    lines = [line for line in _complete(subject, stream=True).iter_lines() if line.startswith(b"data: ")]
    _need(lines and lines[-1] == b"data: [DONE]", "the stream has no end")
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    pieces = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    text = "".join(pieces)
    _need(text and subject.expected in text, f"it answered {text!r}")
    return f"{len(chunks)} chunks, {text!r}"


def check_pages(subject: Subject) -> str:
    """Open the window's page and every page that it links to, under a strict policy; strangers see none."""
    shut = subject.session.get(f"{subject.url}/app/", timeout=subject.timeout)
    _need(shut.status_code == 403, f"/app/ is open to everybody: status {shut.status_code}")
    way_in = subject.server.way_in(subject.timeout)
    _need(way_in, "the shell got no address for its window")
    seen = [_page(subject, str(way_in)), _page(subject, f"{subject.url}/app/")]
    paths = sorted({path for text in seen for path in PAGES.findall(text)} | {HTMX})
    for path in paths:
        _need(_page(subject, subject.url + path), f"{path} is empty")
    return f"{len(paths)} pages and files"


def _page(subject: Subject, url: str) -> str:
    answer = subject.session.get(url, timeout=subject.timeout)
    _need(answer.status_code == 200, f"{url}: status {answer.status_code}")
    policy = answer.headers.get("content-security-policy", "")
    _need("default-src 'none'" in policy, f"{url} has no strict policy")
    return answer.text


CHECKS: tuple[tuple[str, Callable[[Subject], str]], ...] = (
    ("/health", check_health),
    ("/v1/models", check_models),
    ("wrong route", check_wrong_route),
    ("completion", check_completion),
    ("streamed completion", check_stream),
    ("pages", check_pages),
)


def _get(subject: Subject, path: str) -> Any:
    answer = subject.session.get(subject.url + path, timeout=subject.timeout)
    _need(answer.status_code == 200, f"status {answer.status_code}: {answer.text[:200]}")
    return answer.json()


def _complete(subject: Subject, *, stream: bool) -> requests.Response:
    model = _get(subject, "/v1/models")["data"][0]["id"]
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Say hello."}]}
    answer = subject.session.post(
        f"{subject.url}/v1/chat/completions", json=body, timeout=subject.timeout, stream=stream
    )
    _need(answer.status_code == 200, f"status {answer.status_code}: {answer.text[:300]}")
    return answer


def _own_modules(found: Path, status: int | None, natives: Sequence[str]) -> Row:
    """Read what the runner reported: nothing but native code may come from outside the bundle."""
    name = "own byte code"
    try:
        modules = json.loads(found.read_text("utf-8"))
    except (OSError, ValueError):
        return Row(name, False, f"there is no report; the app ended with status {status}")
    outside = ", ".join(f"{module} ({origin})" for module, origin in modules["outside"].items())
    if outside or status == OUTSIDE_STATUS:
        return Row(name, False, f"from outside the bundle: {outside}")
    mac = ", ".join(sorted(MAC & {name.split(".")[0] for name in (*modules["own"], *modules["lacking"])}))
    if mac:
        return Row(name, False, f"the server loads what is for the Mac's shell: {mac}")
    unused = ", ".join(name for name in natives if name not in modules["swapped"])
    if unused:
        return Row(name, False, f"it did without {unused}")
    lacking = f"; no build here for {', '.join(modules['lacking'])}" if modules["lacking"] else ""
    return Row(
        name,
        True,
        f"{len(modules['own'])} modules from the bundle, {len(modules['swapped'])} native{lacking}",
    )


def _imported(source: Path | None) -> tuple[str, ...]:
    """Name what the app's code imports of others and cannot do without, but for what is the Mac's."""
    found = imports.scan(source) if source else ()
    needed = {one.module for one in found if not one.optional}
    return tuple(sorted(name for name in needed if name.split(".")[0] not in MAC))


def _every_module(argv: Sequence[str], found: Path, environment: Mapping[str, str], work: Path) -> Row:
    """Import every module of the app but the Mac's: what they import late must have been packed too."""
    name = "every module"
    found.unlink(missing_ok=True)
    done = subprocess.run(argv, env=dict(environment), cwd=work, capture_output=True, text=True, timeout=120)
    try:
        modules = json.loads(found.read_text("utf-8"))
    except (OSError, ValueError):
        return Row(name, False, f"there is no report; it ended with status {done.returncode}\n{done.stderr}")
    failed = "; ".join(f"{module}: {why}" for module, why in modules["failed"].items())
    outside = ", ".join(modules["outside"])
    if failed or outside:
        return Row(name, False, failed or f"from outside the bundle: {outside}")
    own = [module for module in modules["own"] if module.split(".")[0] == "app"]
    return Row(name, bool(own), f"{len(own)} of the app, {len(modules['own'])} in all")
