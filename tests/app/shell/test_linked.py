"""The real server as the shell's child, with a Mac of plain Python around it."""

from __future__ import annotations

import contextlib
import http.cookiejar
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.errors import AppError
from app.shell import link, machine, menu
from app.shell.child import Child
from app.shell.conductor import Conductor
from app.shell.events import Chosen, Event, Launched, QuitAsked, State, Summoned, WindowClosed, Woken
from tests.app.conftest import ROOT, gone

PATIENCE = 30.0  # seconds; a loaded machine starts a server in three


@dataclass
class PlainMac:
    """A main thread that takes calls from a queue, and what AppKit would have been told."""

    calls: queue.Queue[Callable[[], None]] = field(default_factory=queue.Queue)
    told: list[tuple[str, ...]] = field(default_factory=list)
    summary: str = ""
    ended: bool = False
    updates: bool = True

    def show_menu(self, icon: menu.Icon, summary: str, items: tuple[menu.Item | None, ...]) -> None:
        self.summary = summary

    def show_page(self, url: str) -> None:
        self.told.append(("page", url))

    def show_message(self, title: str, text: str) -> None:
        self.told.append(("message", title, text))

    def raise_window(self) -> None:
        self.told.append(("raise",))

    def notify(self, topic: str, title: str, text: str) -> None:
        self.told.append(("notify", topic, title, text))

    def set_dock(self, visible: bool) -> None:
        self.told.append(("dock", str(visible)))

    def copy(self, text: str) -> None:
        self.told.append(("copy", text))

    def check_for_updates(self) -> None:
        self.told.append(("updates",))

    def set_automatic_updates(self, on: bool) -> None:
        self.told.append(("automatic", str(on)))

    def login_item(self) -> link.LoginItem:
        return "off"

    def set_login_item(self, on: bool) -> link.LoginItem:
        raise AppError("macOS refused: not today")

    def open_folder(self, path: str) -> None:
        self.told.append(("folder", path))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, self.calls.put, (call,))
        timer.daemon = True
        timer.start()

    def quit(self) -> None:
        self.ended = True


@dataclass
class Running:
    """A shell with a real server below it."""

    mac: PlainMac
    child: Child
    conductor: Conductor

    def happen(self, event: Event) -> None:
        self.conductor.happen(event)

    def until(self, truth: Callable[[], object], what: str) -> None:
        """Take calls in this thread until `truth`, as AppKit's run loop would."""
        deadline = time.monotonic() + PATIENCE
        while not truth():
            with contextlib.suppress(queue.Empty):
                self.mac.calls.get(timeout=max(0.0, min(0.5, deadline - time.monotonic())))()
            assert time.monotonic() < deadline, (what, self.mac, self.conductor.state)

    def page(self, number: int = 1) -> str:
        """Wait for the window to be led to a page for the nth time."""
        self.until(lambda: len(self.pages) >= number, "a page")
        return self.pages[number - 1]

    @property
    def pages(self) -> list[str]:
        return [told[1] for told in self.mac.told if told[0] == "page"]

    @property
    def server(self) -> int:
        assert self.child._process is not None
        return self.child._process.pid


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "CURSOR_API_KEY": "key_for_tests",
        "CURSOR_SDK_BRIDGE_RUNTIME": str(folder / "no-such-bun"),
        "API_FOR_CURSOR_DATA_DIR": str(folder / "data"),
        "API_FOR_CURSOR_CONFIG_DIR": str(folder / "config"),
        "API_FOR_CURSOR_KEYCHAIN": "file",
    }


@contextlib.contextmanager
def shell(folder: Path, *arguments: str) -> Iterator[Running]:
    """The shell before its launch; afterwards no server is left."""
    mac = PlainMac()
    argv = (sys.executable, "-m", "app", "serve", "--linked", *(arguments or ("--port", "0")))
    child = Child(argv, lambda event: mac.calls.put(lambda: conductor.happen(event)), environment(folder))
    conductor = Conductor(mac, child, State())
    try:
        yield Running(mac, child, conductor)
    finally:
        child.kill()
        if child._process is not None:
            child._process.wait()


def test_the_window_gets_a_page_that_lets_it_in(tmp_path: Path) -> None:
    with shell(tmp_path) as app:
        app.happen(Launched())
        url = app.page()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        with opener.open(url, timeout=PATIENCE) as answer:
            assert answer.status == 200
            assert b"API for Cursor" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=PATIENCE)  # it worked once
        app.until(lambda: app.mac.summary.startswith("Not working: "), "the menu's word on the bridge")


def test_the_menu_copies_what_clients_need(tmp_path: Path) -> None:
    with shell(tmp_path) as app:
        app.happen(Launched(at_login=True))
        app.until(lambda: app.conductor.state.url, "an address")
        app.happen(Chosen("copy"))
        assert app.mac.told[-1] == ("copy", f"{app.conductor.state.url}/v1")
        assert app.pages == []


def test_quitting_leaves_nothing_behind(tmp_path: Path) -> None:
    with shell(tmp_path) as app:
        app.happen(Launched())
        app.page()
        server = app.server
        app.happen(QuitAsked())
        assert not app.mac.ended
        app.until(lambda: app.mac.ended, "the end")
        assert gone(server)
        assert app.child._process is not None
        assert app.child._process.returncode == 0


def test_a_crash_is_noticed_and_the_window_comes_back(tmp_path: Path) -> None:
    with shell(tmp_path) as app:
        app.happen(Launched())
        app.page()
        os.kill(app.server, signal.SIGKILL)
        again = app.page(2)
        assert again != app.pages[0]
        assert app.conductor.state.run == 2


def test_a_server_that_hangs_after_sleep_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "WAKE_PATIENCE", 1.0)
    monkeypatch.setattr(machine, "STOP_PATIENCE", 0.5)
    with shell(tmp_path) as app:
        app.happen(Launched())
        app.page()
        stuck = app.server
        os.kill(stuck, signal.SIGSTOP)
        app.happen(Woken())
        app.page(2)
        assert gone(stuck)


def test_a_server_that_lives_answers_after_sleep(tmp_path: Path) -> None:
    with shell(tmp_path) as app:
        app.happen(Launched())
        app.page()
        app.happen(Woken())
        assert app.conductor.state.unanswered
        app.until(lambda: not app.conductor.state.unanswered, "a sign of life")
        assert app.conductor.state.run == 1


def test_a_second_copy_says_where_the_first_one_is(tmp_path: Path) -> None:
    with shell(tmp_path) as first, shell(tmp_path, "--host", "127.0.0.1") as second:
        first.happen(Launched())
        first.page()
        second.happen(Launched())
        second.until(lambda: second.conductor.state.phase == "failed", "its failure")
        (message,) = [told for told in second.mac.told if told[0] == "message"]
        assert str(first.conductor.state.url) in message[2]


def test_a_program_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FIRST_DELAY", 0.01)
    with shell(tmp_path) as app:
        app.child._argv = (str(tmp_path / "nothing"),)
        app.happen(Launched(at_login=True))
        app.until(lambda: app.conductor.state.phase == "failed", "its failure")
        assert "does not start: No such file" in app.mac.told[-1][3]
        app.happen(Summoned())
        assert app.mac.told[-1][0] == "message"
        app.happen(WindowClosed())
        app.happen(QuitAsked())
        assert app.mac.ended


PARENT = """
import sys, time
from app.shell.child import Child
child = Child(sys.argv[1:], post=lambda event: print(type(event).__name__, child._process.pid, flush=True))
child.start(1)
time.sleep(600)
"""


def test_the_server_does_not_outlive_a_shell_that_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PARENT, sys.executable, "-m", "app", "serve", "--linked", "--port", "0"]
    with subprocess.Popen(argv, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        kind, number = parent.stdout.readline().split()
        assert kind == "Said"
        parent.kill()
    deadline = time.monotonic() + PATIENCE
    while not gone(int(number)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_elsewhere_there_is_no_desktop(tmp_path: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("here there is")
    argv = [sys.executable, "-m", "app", "desktop"]
    done = subprocess.run(argv, env=environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "the menu bar and the window are for a Mac: use serve\n")
