"""Running dmgbuild: its own settings and code on every platform, with the tools it calls handed in.

dmgbuild starts macOS programs itself (hdiutil, ditto, SetFile, sync), ignores whether a copy worked, and does
not import anywhere but on a Mac. So the few names it reaches them by are replaced while it runs, by `Tools`:
the real programs through a Runner (native), or a staging folder and our own writers (portable).
"""

from __future__ import annotations

import importlib
import platform
import subprocess
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

from mac_alias import Alias

from release.image.background import write_tiff
from release.image.faults import ImageFault
from release.image.plan import BACKGROUND_NAME, ImagePlan, checked, settings

# The replaced names are the module's, hence the process's: one image at a time.
_ONE_AT_A_TIME = threading.RLock()

_SOME_MACOS = ("13.0", ("", "", ""), "")


class Tools(Protocol):
    """What dmgbuild needs done. Raise ImageFault rather than return a failure that it would ignore."""

    def hdiutil(self, verb: str, arguments: Sequence[str], *, plist: bool) -> tuple[int, Any]:
        """Run hdiutil: its status, and its output (a parsed property list if `plist`)."""
        ...

    def call(self, argv: Sequence[str]) -> int:
        """Run ditto, SetFile or sync."""
        ...

    def alias(self, path: Path) -> Alias:
        """Make an alias to a file of the mounted volume."""
        ...


def run(plan: ImagePlan, dst: Path, tools: Tools) -> None:
    """Have dmgbuild make `plan` into `dst` with `tools`; `dst` appears whole or not at all."""
    checked(plan)
    dst.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".image-", dir=dst.parent) as scratch:
        made = Path(scratch) / dst.name
        look = settings(_drawn(plan, Path(scratch)))
        with _dmgbuild(tools) as core:
            try:
                core.build_dmg(str(made), plan.volume_name, settings=look, lookForHiDPI=False)
            except BaseException as error:
                # The traceback holds dmgbuild's scratch file, which must go before the folder it is in.
                traceback.clear_frames(error.__traceback__)
                if isinstance(error, core.DMGError):
                    raise ImageFault(f"the disk image could not be made: {error}", where=dst) from error
                raise
        made.replace(dst)


def _drawn(plan: ImagePlan, folder: Path) -> ImagePlan:
    """Return `plan` with its background drawn, if it is still an SVG."""
    if plan.background.suffix != ".svg":
        return plan
    picture = folder / BACKGROUND_NAME.lstrip(".")
    write_tiff(plan.background, picture)
    return replace(plan, background=picture)


@contextmanager
def _dmgbuild(tools: Tools) -> Iterator[ModuleType]:
    """Give dmgbuild's core with `tools` in place of hdiutil, subprocess and Alias; put back afterwards."""

    def hdiutil(verb: str, *arguments: str, plist: bool = True) -> tuple[int, Any]:
        return tools.hdiutil(verb, arguments, plist=plist)

    def check_call(argv: Sequence[str], **_: object) -> int:
        if status := tools.call(argv):
            raise subprocess.CalledProcessError(status, list(argv))
        return 0

    replaced = {
        "hdiutil": hdiutil,
        "subprocess": SimpleNamespace(call=tools.call, check_call=check_call),
        "Alias": SimpleNamespace(for_file=lambda path: tools.alias(Path(path))),
    }
    with _ONE_AT_A_TIME:
        core = _import()
        kept = {name: getattr(core, name) for name in replaced}
        vars(core).update(replaced)
        try:
            yield core
        finally:
            vars(core).update(kept)


def _import() -> ModuleType:
    """Import dmgbuild; while it does, platforms without a macOS version claim one, which dmgbuild parses."""
    real = platform.mac_ver
    if not real()[0]:
        platform.mac_ver = lambda *_: _SOME_MACOS
    try:
        return importlib.import_module("dmgbuild.core")
    finally:
        platform.mac_ver = real
