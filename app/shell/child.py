"""The server's process, as its shell sees it: started, listened to, told things, ended.

Threads read its output and wait for its end; what they learn goes through `post`, which has to hand it to the
shell's own thread.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from app.shell import link
from app.shell.events import Ended, Event, Said

LAST_WORDS = 5  # lines of its standard error that are kept
CANNOT_START = 127  # the status that stands for a program that could not be started, as in a shell

Post = Callable[[Event], None]


class Child:
    """At most one process of the server at a time."""

    def __init__(self, argv: Sequence[str], post: Post, environment: Mapping[str, str] = os.environ) -> None:
        self._argv = tuple(argv)
        self._post = post
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, run: int) -> None:
        """Start the process; all that is posted about it carries the number `run`."""
        try:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is for the shell, which then ends the server in order
            )
        except OSError as error:
            self._post(Ended(run, CANNOT_START, f"{self._argv[0]} does not start: {error.strerror}"))
            return
        threading.Thread(target=self._follow, args=(self._process, run), daemon=True).start()

    def send(self, message: link.FromShell) -> None:
        """Send a message; to a process that is gone it is dropped, as its end is known soon enough."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(link.encode(message))
                self._process.stdin.flush()

    def stop(self) -> None:
        """Ask the process to end."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process without asking."""
        if self._process is not None:
            self._process.kill()

    def _follow(self, process: subprocess.Popen[bytes], run: int) -> None:
        last: deque[str] = deque(maxlen=LAST_WORDS)
        errors = threading.Thread(target=_keep, args=(process, last), daemon=True)
        errors.start()
        assert process.stdout is not None
        for line in process.stdout:
            message = link.from_server(line)
            if message is not None:
                self._post(Said(run, message))
        status = process.wait()
        errors.join(1.0)  # a process of its own that it left behind could hold the pipe open
        self._post(Ended(run, status, last[-1] if last else ""))


def _keep(process: subprocess.Popen[bytes], last: deque[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text := line.decode("utf-8", "replace").strip():
            last.append(text)
