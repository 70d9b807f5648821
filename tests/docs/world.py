"""Where the documented commands are run: a checkout with two rehearsal releases, and a home of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from commands import Subprocess
from release import bridge
from tests.checkouts import Checkout
from tests.standins.repository import Repository

INTERRUPTED = (130, -signal.SIGINT)  # how a program says that Control-C ended it
_VARYING = re.compile(r"…|\b[0-9a-f]{7,}\b|\d[\d.,:]*(?: s\b)?|\s+")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and all that it said."""

    status: int
    output: str


@dataclass
class World:
    """One checkout and one home. Commands run in it as a person would type them, without any secret."""

    root: Path
    home: Path
    values: dict[str, str] = field(default_factory=dict)

    @cached_property
    def clone(self) -> Path:
        """A clean clone that was at 1.1.0, with a remote and a key to sign tags with."""
        made = Repository(self.home / "clone")
        for name, bare in (("remote", ["--bare"]), ("clone", [])):
            line = ["git", "clone", "--quiet", *bare, str(self.root), str(self.home / name)]
            subprocess.run(line, check=True, capture_output=True)
        made.git("remote", "set-url", "origin", str(self.home / "remote"))
        made.git("switch", "--quiet", "--force-create", "main")
        for key, value in (("user.name", "Maintainer"), ("user.email", "maintainer@example.test")):
            made.git("config", key, value)
        made.sign_with_ssh(self.home)
        made.git("tag", "v1.1.0")
        return made.root

    def environment(self) -> dict[str, str]:
        """No secret, the user's cache, a home of its own, and a `gh` that takes everything."""
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return {
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": cache,
            "LANG": "C.UTF-8",
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "API_FOR_CURSOR_KEYCHAIN": "file",
            "CURSOR_BACKEND_URL": "http://127.0.0.1:9",  # nobody
        }

    def argv(self, text: str) -> list[str]:
        """The words to run: our own programs with this environment's Python, everything else as it is."""
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", value)
        words = [re.sub(r"^~/", f"{self.home}/", word) for word in shlex.split(text)]
        if words[0] == "./invoke":
            return [sys.executable, "-m", "invoke", *words[1:]]
        return [sys.executable, *words[1:]] if words[0].endswith("python") else words

    def run(self, text: str, stdin: str = "", *, cloned: bool = False) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            self.argv(text),
            cwd=self.clone if cloned else self.root,
            env=self.environment(),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        return Done(done.returncode, done.stdout)

    def serve(self, text: str, until: str) -> Done:
        """Run a server until it says `until`, then interrupt it as Control-C does."""
        process = subprocess.Popen(
            self.argv(text),
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watch = threading.Timer(120, process.kill)
        watch.start()
        said = []
        try:
            for line in process.stdout or ():
                said.append(line)
                if until in line and (found := re.search(r"127\.0\.0\.1:(\d+)", line)):
                    answered(int(found[1]))
                    process.send_signal(signal.SIGINT)
            status = process.wait(30)
            return Done(0 if status in INTERRUPTED else status, "".join(said))
        finally:
            watch.cancel()
            process.kill()


def make(checkout: Checkout, folder: Path) -> World:
    """A copy of a released checkout, with a second release after it: there is something to go back to."""
    root = folder / "checkout"
    shutil.copytree(checkout.root, root, symlinks=True)
    with (root / "app" / "version.py").open("a") as file:
        file.write("\nDOCUMENTED = True\n")
    first = checkout.summary()["build"]
    Checkout(root).release("--set", "feed.phased_rollout_interval=86400")
    home = folder / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin/bun").symlink_to(bridge.bun(root, Subprocess()))
    write(home / "bin/gh", "#!/bin/sh\ncat > /dev/null\n", 0o755)
    (home / "release-secrets").mkdir()
    write(home / "release-secrets/SPARKLE_PRIVATE_KEY", "not one", 0o600)
    return World(root, home, {"port": str(free_port()), "first": first})


def write(path: Path, text: str, mode: int) -> None:
    """Write a file and set its mode."""
    path.write_text(text)
    path.chmod(mode)


def answered(port: int) -> None:
    """Wait until somebody listens on the port."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def missing(shown: Sequence[str], output: str) -> list[str]:
    """The shown lines that the output does not have, in their order.

    Numbers (sizes, times, builds) and hashes may differ; `…` stands for anything, spaces for any spaces.
    """
    lines = iter(output.splitlines())
    wanted = [line.strip() for line in shown if line.strip(" …")]
    return [line for line in wanted if not any(like(line).search(found.strip()) for found in lines)]


def like(line: str) -> re.Pattern[str]:
    """What a shown line matches."""
    pattern, end = "", 0
    for found in _VARYING.finditer(line):
        kind = r"\d[\d.,:]*"
        if found[0].isspace() or found[0] == "…":
            kind = r"\s+" if found[0].isspace() else ".*"
        elif found[0].endswith(" s"):
            kind += " (?:s|min)"
        elif re.fullmatch(r"(?=.*[a-f])[0-9a-f]{7,}", found[0]):
            kind = "[0-9a-f]{7,}"
        pattern += re.escape(line[end : found.start()]) + kind
        end = found.end()
    return re.compile(pattern + re.escape(line[end:]))
