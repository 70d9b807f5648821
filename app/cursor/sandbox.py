"""A second wall around the bridge, where the system has one: bubblewrap on Linux, sandbox-exec on a Mac.

The guard inside the bridge (app/bridge/src/guard.mjs) keeps a model's tools from running at all. This is for
the day it fails: the process sees no home folder, no program to run, and writes nowhere but its own folder.
The network stays open, because Cursor's backend is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.cursor.runtime import Runtime
from app.errors import AppError
from app.settings import SandboxMode

# What a runtime needs of the system: libraries, certificates, and how names are resolved.
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
SETTINGS = (
    "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/etc/resolv.conf",
    "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/ld.so.cache",
)  # fmt: skip
SANDBOX_EXEC = "/usr/bin/sandbox-exec"
# The last rule that matches decides.
PROFILE = """(version 1)
(allow default)
(deny process-exec*)
(allow process-exec (literal (param "RUNTIME")))
(deny file-write*)
(allow file-write* (subpath (param "STATE")) (literal "/dev/null"))
(deny file-read* (subpath "/Users") (subpath "/Volumes") (subpath "/private/etc/ssh"))
(allow file-read-metadata)
(allow file-read* (subpath (param "STATE")) (literal (param "RUNTIME")) (literal (param "BRIDGE")))
(deny network-inbound)
(deny network-bind)
(deny appleevent-send)
(deny process-info* (target others))
(deny signal (target others))
"""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A program that runs another within walls."""

    name: Literal["bubblewrap", "sandbox-exec"]
    program: Path

    def argv(
        self, runtime: Runtime, *, state: Path, readable: Sequence[Path] = (), reachable: Sequence[Path] = ()
    ) -> tuple[str, ...]:
        """Give the whole command line; `readable` are further files, `reachable` folders with sockets."""
        files = (runtime.program, runtime.bridge_js, *readable)
        if self.name == "bubblewrap":
            return (str(self.program), *_bubblewrap(state, files, reachable), "--", *runtime.argv)
        return (str(self.program), *_sandbox_exec(runtime, state), *runtime.argv)


def _bubblewrap(state: Path, files: Sequence[Path], reachable: Sequence[Path]) -> Iterator[str]:
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from ("--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev")
    yield from ("--tmpfs", "/tmp")  # noqa: S108 - the walls' own
    for folder in (*LIBRARIES, *SETTINGS):
        yield from ("--ro-bind-try", folder, folder)
    for path in (state, *reachable):
        yield from ("--bind", str(path), str(path))
    for path in files:
        yield from ("--ro-bind", str(path), str(path))
    yield from ("--chdir", str(state / "workspace"))


def _sandbox_exec(runtime: Runtime, state: Path) -> Iterator[str]:
    """Parameters are compared with real paths."""
    names = {"RUNTIME": runtime.program, "BRIDGE": runtime.bridge_js, "STATE": state}
    yield from ("-p", PROFILE)
    for name, path in names.items():
        yield from ("-D", f"{name}={path.resolve()}")


Try = Callable[[Sequence[str]], bool]


def runs(argv: Sequence[str]) -> bool:
    """Whether `argv` ends well, and soon."""
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find(
    mode: SandboxMode, runtime: Runtime, state: Path, *, platform: str = sys.platform, attempt: Try = runs
) -> Sandbox | None:
    """Find what works here, by trying it with `runtime --version`; None if nothing does, or `mode` is off.

    On a Mac it is used only when `mode` is on: nobody has tried the profile on one. Raises AppError if `mode`
    is on and nothing works: then the bridge must not run without.
    """
    sandbox = _candidate(mode, platform)
    if sandbox is not None:
        argv = sandbox.argv(runtime, state=state)
        if attempt((*argv[: -len(runtime.argv)], str(runtime.program), "--version")):
            return sandbox
    if mode == "on":
        cure = "install bubblewrap and allow user namespaces, or say auto"
        raise AppError("CURSOR_SDK_BRIDGE_SANDBOX is on, and no sandbox works here", cure=cure)
    return None


def _candidate(mode: SandboxMode, platform: str) -> Sandbox | None:
    if mode == "off" or (platform == "darwin" and mode != "on"):
        return None
    if platform == "darwin":
        return Sandbox("sandbox-exec", Path(SANDBOX_EXEC))
    found = shutil.which("bwrap") if platform == "linux" else None
    return Sandbox("bubblewrap", Path(found)) if found else None
