"""Ask macOS itself about a release: its own tools, beside the project's own verifiers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from commands import Runner
from errors import Exit, Fault
from release.verification import Check

TIMEOUT = 600.0
Question = tuple[str, tuple[str | Path, ...]]


@dataclass(frozen=True, slots=True)
class Mac:
    """macOS's tools. `apple`: whether Apple knows who signed, which it does not in a rehearsal."""

    runner: Runner
    apple: bool = True


def here(runner: Runner, *, apple: bool) -> Mac | None:
    """Return this machine's tools if it is a Mac."""
    return Mac(runner, apple) if sys.platform == "darwin" else None


def codesign(path: Path) -> Question:
    """Ask whether a signature, and all that it seals, is intact. `--deep` is for checking only."""
    if path.suffix == ".app":
        return "codesign, app", ("codesign", "--verify", "--deep", "--strict", "--verbose=2", path)
    return "codesign, image", ("codesign", "--verify", "--strict", "--verbose=2", path)


def gatekeeper(path: Path) -> Question:
    """Ask Gatekeeper, as if somebody had opened it. True only once it is notarized."""
    if path.suffix == ".app":
        return "Gatekeeper, app", ("spctl", "--assess", "--type", "execute", "--verbose", path)
    kind = ("--type", "open", "--context", "context:primary-signature")
    return "Gatekeeper, image", ("spctl", "--assess", *kind, "--verbose", path)


def stapled(path: Path) -> Question:
    """Ask whether the stapled ticket fits."""
    return "stapler validate", ("xcrun", "stapler", "validate", path)


def questions(image: Path, app: Path | None, *, apple: bool = True) -> Iterator[Question]:
    """Yield what is asked: a row's name and the command whose status 0 means yes.

    `app` is the one unpacked from the image.
    """
    yield "hdiutil verify", ("hdiutil", "verify", image)
    yield codesign(image)
    if app is not None:
        yield codesign(app)
    if apple:
        yield stapled(image)
        yield gatekeeper(image)
        if app is not None:
            yield gatekeeper(app)


def ask(image: Path, app: Path | None, group: str, *, mac: Mac) -> tuple[Check, ...]:
    """Ask all of it; each answer is a row of `group`, its detail the tool's last line."""
    rows = tuple(_row(name, argv, group, mac.runner) for name, argv in questions(image, app, apple=mac.apple))
    if mac.apple:
        return rows
    return (*rows, Check("Gatekeeper", None, "not checked: Apple knows nothing of a rehearsal", group))


def require(question: Question, *, runner: Runner) -> None:
    """Raise Fault, status SIGNATURE, unless macOS says yes."""
    name, argv = question
    result = runner.run(argv, timeout=TIMEOUT, check=False)
    if result.status:
        raise Fault(
            f"macOS refuses it ({name})",
            where=argv[-1],
            details=result.tail(),
            cure="nothing has been published; ./invoke release --force sign signs it again",
            status=Exit.SIGNATURE,
        )


def _row(name: str, argv: tuple[str | Path, ...], group: str, runner: Runner) -> Check:
    try:
        result = runner.run(argv, timeout=TIMEOUT, check=False)
    except Fault as fault:
        return Check(name, False, fault.what, group)
    said = "".join(result.tail(1)).strip()
    return Check(name, result.status == 0, said or f"status {result.status}", group)
