"""This machine: its tools, its room, its Bun."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path

from commands import Runner, find, missing
from errors import Exit, Fault
from release.bootstrap import SUPPORTED
from release.doctor.case import Case
from release.doctor.check import NotChecked, Warn
from signing.entitlements import JIT, to_plist
from signing.first_run import run_bun

NEEDED = 3_000_000_000  # bytes; a first release leaves half of that in the cache, and 0.5 GB below dist/
COMFORT = 2 * NEEDED
# What only a Mac has. `xcrun --find` knows those that are not on PATH.
NATIVE = ("codesign", "hdiutil", "spctl", "security")
XCODE = ("notarytool", "stapler")


def python(version: tuple[int, int] | None = None) -> str:
    """Look whether this Python can build the bundle, whose byte code it compiles."""
    found = version or (sys.version_info[0], sys.version_info[1])
    if 100 * found[0] + found[1] not in SUPPORTED:
        raise Fault(
            f"Python {found[0]}.{found[1]} can't build the bundle",
            cure="PYTHON=python3.13 ./invoke doctor (3.11 to 3.13)",
            status=Exit.TOOL,
        )
    return platform.python_version()


def packages() -> str:
    """Look whether the packages that make a release can be found, and tell their versions."""
    from release.publisher import tools

    return ", ".join(f"{name} {version}" for name, version in tools().items() if name != "python")


def program(name: str) -> str:
    """Look for a program on PATH. Raises Fault TOOL, with the command that installs it."""
    found = find(name)
    if found is None:
        raise missing(name)
    return str(found)


def git(runner: Runner) -> str:
    """Tell git's version. Raises Fault TOOL if there is none."""
    said = runner.run(["git", "--version"], timeout=10).stdout.decode("utf-8", "replace")
    return said.strip().removeprefix("git version ")


def xcode(runner: Runner, name: str) -> str:
    """Look for one of Xcode's tools. Raises Fault TOOL."""
    done = runner.run(["xcrun", "--find", name], check=False, timeout=20)
    if done.status:
        raise Fault(f"{name} is needed and not installed", cure="xcode-select --install", status=Exit.TOOL)
    return done.stdout.decode("utf-8", "replace").strip()


def disk(folder: Path, free: int | None = None) -> str | Warn:
    """Look for room on the disk that has, or will have, `folder`."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    left = shutil.disk_usage(there).free if free is None else free
    said = f"{left / 1e9:.1f} GB free at {there}"
    if left < NEEDED:
        cure = f"make room: a release takes about {NEEDED / 1e9:.0f} GB"
        raise Fault(said, cure=cure, status=Exit.DISK)
    return Warn(said, "make room before long") if left < COMFORT else said


def bun(case: Case) -> str:
    """Sign a copy of the Bun that is shipped with its entitlements, and let it compile and run something.

    The notary runs nothing: without the entitlements, macOS ends the process at its first compiled function.
    """
    if sys.platform != "darwin":
        raise NotChecked("only macOS enforces the hardened runtime")
    return hardened(bun_executable(case), case.runner)


def bun_executable(case: Case) -> Path:
    """Return this Mac's Bun from the cache of inputs."""
    from release.inputs import bun as pinned

    return pinned(case.services.cache, case.services.pins, "host", runner=case.runner)


def hardened(executable: Path, runner: Runner) -> str:
    """Sign a copy ad hoc under the hardened runtime and run it. Raises Fault SIGN if it ends early."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        copy, rights = Path(name, "bun"), Path(name, "entitlements.plist")
        shutil.copy2(executable, copy)
        copy.chmod(0o755)
        rights.write_bytes(to_plist(JIT))
        words = ["codesign", "--force", "--sign", "-", "--options", "runtime", "--entitlements"]
        runner.run([*words, rights, copy], timeout=60)
        version = run_bun(copy, JIT, runner=runner)
    return f"Bun {version} runs, signed with its entitlements"
