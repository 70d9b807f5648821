"""Run once what was signed. The notary never runs code: a missing entitlement shows first on a user's Mac.

Under the hardened runtime macOS ends a JIT compiler's process at its first compiled function (SIGTRAP, SIGBUS
or SIGSEGV), and one whose signature or libraries it does not accept before its first instruction (SIGKILL).
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from commands import Result, Runner
from errors import Exit, Fault
from signing import entitlements

TIMEOUT = 60.0
WARM = "let n = 0; for (let i = 0; i < 1e6; i++) n += i % 7; if (n !== 2999997) throw n"
"""Long enough for the compiler to take over: a version alone is printed without it."""


def run_bun(program: Path, granted: Mapping[str, object], *, runner: Runner) -> str:
    """Run the signed Bun: its version, which is returned, and a loop that gets compiled.

    `granted`: its entitlements, to say which is missing. Raises Fault, status SIGN.
    """
    version = _run(program, ("--version",), granted, runner)
    _run(program, ("-e", WARM), granted, runner)
    return version.stdout.decode("utf-8", "replace").strip()


def _run(program: Path, words: tuple[str, ...], granted: Mapping[str, object], runner: Runner) -> Result:
    with tempfile.TemporaryDirectory(prefix="first-run-") as home:
        environment = {"HOME": home, "TMPDIR": home, "PATH": "/usr/bin:/bin"}
        result = runner.run([program, *words], cwd=Path(home), env=environment, timeout=TIMEOUT, check=False)
    if result.status:
        raise Fault(
            f"the signed {program.name} does not run: {ending(result.status)}",
            where=program,
            details=result.tail(),
            cure=cure(result.status, granted),
            status=Exit.SIGN,
        )
    return result


def ending(status: int) -> str:
    """Say how a process ended: by which signal, or with which status."""
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def cure(status: int, granted: Mapping[str, object]) -> str:
    """Say what to do about it, from how it ended and the entitlements it has."""
    absent = sorted(name for name in entitlements.JIT if granted.get(name) is not True)
    if absent:
        return f"sign it with {', '.join(absent)} (signing/entitlements.py)"
    if -status == signal.SIGKILL:
        return "macOS does not accept its signature: codesign --verify --strict --verbose=4 says why"
    return "it has all entitlements a JIT compiler needs: try the vendor's own build of it"
