"""Disk images on a Mac: dmgbuild with the real hdiutil, ditto and SetFile, each run through a Runner.

hdiutil fails now and then for reasons that pass: Spotlight or XProtect holds the volume, a daemon is late.
Its known passing statuses are tried again, each time after a longer wait. A volume is detached by its device
node, one that has gone already counts as detached, and none stays attached whatever happens.
"""

from __future__ import annotations

import plistlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from mac_alias import Alias

from commands import Result, Runner
from errors import Exit
from release.image import build
from release.image.faults import ImageFault
from release.image.plan import ImagePlan

HDIUTIL = "/usr/bin/hdiutil"

# Failure for no stated reason, "resource busy" and "temporarily unavailable", as seen on CI machines.
TRANSIENT = frozenset((1, 16, 35, 256, 49153))
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before each further try
GONE = ("not attached", "no such file or directory", "no such device", "not currently mounted")
FULL = ("no space left on device", "not enough space")

STEPS = ("create", "attach", "ditto", "detach", "resize", "convert")


def build_native(
    plan: ImagePlan,
    dst: Path,
    *,
    runner: Runner,
    on_progress: Callable[[int, int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    alias: Callable[[Path], Alias] = Alias.for_file,
) -> None:
    """Make `plan` into the image `dst` with macOS's own tools; progress counts the six long steps.

    Raises ImageFault with hdiutil's last words, status DISK if there is no room.
    """
    tools = _Mac(runner, on_progress, sleep, alias)
    try:
        build.run(plan, dst, tools)
    finally:
        tools.release()


class _Mac:
    """build.Tools over macOS's programs. `device` is what is attached now."""

    def __init__(
        self,
        runner: Runner,
        on_progress: Callable[[int, int], None] | None,
        sleep: Callable[[float], None],
        alias: Callable[[Path], Alias],
    ) -> None:
        self.runner, self.on_progress, self.sleep, self.make_alias = runner, on_progress, sleep, alias
        self.device: str | None = None

    def hdiutil(self, verb: str, arguments: Sequence[str], *, plist: bool) -> tuple[int, Any]:
        """See build.Tools."""
        if verb == "detach":
            self._detach(arguments[-1])
            self._done(verb)
            return 0, ""
        result = self._persist((HDIUTIL, verb, *arguments, *(("-plist",) if plist else ())))
        if result.status:
            raise _refused(f"hdiutil {verb}", result)
        output = _property_list(result) if plist else result.text
        if verb == "attach":
            self.device = _device(output)
        self._done(verb)
        return 0, output

    def call(self, argv: Sequence[str]) -> int:
        """See build.Tools. dmgbuild does not look at the status, so a failure is raised here."""
        result = self.runner.run(argv, check=False)
        name = Path(argv[0]).name
        if result.status:
            raise _refused(name, result)
        self._done(name)
        return 0

    def alias(self, path: Path) -> Alias:
        """See build.Tools."""
        return self.make_alias(path)

    def release(self) -> None:
        """Detach what an interrupted build has left attached."""
        if self.device:
            self._persist((HDIUTIL, "detach", "-force", self.device))
            self.device = None

    def _detach(self, device: str) -> None:
        result = self._persist((HDIUTIL, "detach", device))
        if result.status and not _gone(result):
            result = self._persist((HDIUTIL, "detach", "-force", device))
        if result.status and not _gone(result):
            raise _refused("hdiutil detach", result)
        self.device = None

    def _persist(self, argv: Sequence[str]) -> Result:
        """Run `argv`, again and again while it fails in a way that may pass."""
        result = self.runner.run(argv, check=False)
        for wait in WAITS:
            if result.status not in TRANSIENT or _says(result, FULL) or ("detach" in argv and _gone(result)):
                break
            self.sleep(wait)
            result = self.runner.run(argv, check=False)
        return result

    def _done(self, step: str) -> None:
        if self.on_progress and step in STEPS:
            self.on_progress(STEPS.index(step) + 1, len(STEPS))


def _property_list(result: Result) -> Any:
    try:
        return plistlib.loads(result.stdout)
    except (ExpatError, plistlib.InvalidFileException) as error:
        raise _refused("hdiutil's answer", result) from error


def _device(output: Any) -> str | None:
    """Device node of the volume that was mounted."""
    mounted = [entity for entity in output["system-entities"] if entity.get("mount-point")]
    return str(mounted[-1]["dev-entry"]) if mounted else None


def _says(result: Result, phrases: Sequence[str]) -> bool:
    text = result.text.lower()
    return any(phrase in text for phrase in phrases)


def _gone(result: Result) -> bool:
    return _says(result, GONE)


def _refused(what: str, result: Result) -> ImageFault:
    full = _says(result, FULL)
    return ImageFault(
        f"the disk image could not be made: {what} ended with status {result.status}",
        where=" ".join(result.argv),
        cure="make room on the disk and run it again" if full else "run the step again",
        status=Exit.DISK if full else None,
        details=result.tail(12),
    )
