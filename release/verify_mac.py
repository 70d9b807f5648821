"""Ask macOS itself about a downloaded release: its own tools, beside the project's own verifiers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from commands import Runner
from errors import Fault
from release.verification import Check

TIMEOUT = 600.0


def questions(image: Path, app: Path | None) -> Iterator[tuple[str, tuple[str | Path, ...]]]:
    """Yield what is asked: a row's name and the command whose status 0 means yes.

    `--deep` is for checking only; nothing is ever signed with it. `app` is the one unpacked from the image.
    """
    yield "hdiutil verify", ("hdiutil", "verify", image)
    yield "codesign, image", ("codesign", "--verify", "--strict", "--verbose=2", image)
    yield "stapler validate", ("xcrun", "stapler", "validate", image)
    gate = ("spctl", "--assess", "--type", "open", "--context", "context:primary-signature", "--verbose")
    yield "Gatekeeper, image", (*gate, image)
    if app is not None:
        yield "codesign, app", ("codesign", "--verify", "--deep", "--strict", "--verbose=2", app)
        yield "Gatekeeper, app", ("spctl", "--assess", "--type", "execute", "--verbose", app)


def ask(image: Path, app: Path | None, group: str, *, runner: Runner) -> tuple[Check, ...]:
    """Ask all of it; each answer is a row of `group`, its detail the tool's last line."""
    return tuple(_row(name, argv, group, runner) for name, argv in questions(image, app))


def _row(name: str, argv: tuple[str | Path, ...], group: str, runner: Runner) -> Check:
    try:
        result = runner.run(argv, timeout=TIMEOUT, check=False)
    except Fault as fault:
        return Check(name, False, fault.what, group)
    lines = [line for line in result.text.splitlines() if line.strip()]
    return Check(name, result.status == 0, lines[-1].strip() if lines else f"status {result.status}", group)
