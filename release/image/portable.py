"""Disk images without a Mac: dmgbuild's volume is a staging folder, its tools are ours.

`hdiutil create` and `attach` give it a folder for the volume, ditto notes where the app comes from (nothing
is copied twice), SetFile notes Finder's flags, and `hdiutil convert` writes folder, app and flags as an HFS+
volume in a UDIF image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mac_alias import Alias
from mac_alias.alias import ALIAS_EJECTABLE_DISK, ALIAS_KIND_FILE, TargetInfo, VolumeInfo

from release.image import build
from release.image.faults import ImageFault
from release.image.hfsplus import records, tree
from release.image.hfsplus.volume import Volume
from release.image.plan import BACKGROUND_NAME, ImagePlan
from release.image.udif import writer

FINDER_FLAGS = {"C": records.HAS_CUSTOM_ICON, "E": records.HIDES_EXTENSION, "V": records.IS_INVISIBLE}


def build_portable(
    plan: ImagePlan,
    dst: Path,
    *,
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `plan` as the image `dst`, byte for byte the same each time; progress in bytes of the volume.

    Extended attributes are not carried over: an app as we sign it has none. Raises ImageFault.
    """
    with tempfile.TemporaryDirectory(prefix="volume-") as folder:
        build.run(plan, dst, _Staging(plan, Path(folder), threads, on_progress))


class _Staging:
    """A volume in the making: build.Tools over a folder."""

    def __init__(
        self,
        plan: ImagePlan,
        folder: Path,
        threads: int | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.plan, self.folder = plan, folder
        self.threads, self.on_progress = threads, on_progress
        self.grafts: dict[str, Path] = {}
        self.flags: dict[str, int] = {}

    def hdiutil(self, verb: str, arguments: Sequence[str], *, plist: bool) -> tuple[int, Any]:
        """See build.Tools."""
        if verb == "attach":
            return 0, {"system-entities": [{"dev-entry": "", "mount-point": str(self.folder)}]}
        if verb == "convert":
            self._write(_option(arguments, "-format"), Path(_option(arguments, "-o")))
        elif verb not in ("create", "detach", "resize"):
            raise ImageFault(f"hdiutil {verb} has no counterpart here")
        return 0, {} if plist else ""

    def call(self, argv: Sequence[str]) -> int:
        """See build.Tools."""
        match Path(argv[0]).name, *argv[1:]:
            case "ditto", source, target:
                self.grafts[self._inside(target)] = Path(source)
            case "SetFile", "-a", letter, *targets:
                for target in targets:
                    inside = self._inside(target)
                    self.flags[inside] = self.flags.get(inside, 0) | FINDER_FLAGS[letter]
            case "sync", *_:
                pass
            case _:
                raise ImageFault(f"{argv[0]} has no counterpart here")
        return 0

    def alias(self, path: Path) -> Alias:
        """Make the alias a Mac would: by name, by path, and by catalog number, the first one given out."""
        inside, volume = self._inside(str(path)), self.plan.volume_name
        created = datetime.fromtimestamp(self.plan.created, UTC)
        target = TargetInfo(
            ALIAS_KIND_FILE, inside, tree.ROOT, tree.FIRST_USER, created, bytes(4), bytes(4),
            folder_name=volume, carbon_path=f"{volume}:{inside}", posix_path=f"/{inside}",
        )  # fmt: skip
        disk = VolumeInfo(
            volume, created, b"H+", ALIAS_EJECTABLE_DISK, 0, bytes(2), posix_path=f"/Volumes/{volume}"
        )
        return Alias(volume=disk, target=target)

    def _inside(self, path: str) -> str:
        inside = Path(path).relative_to(self.folder).as_posix()
        return "" if inside == "." else inside

    def _write(self, form: str, dst: Path) -> None:
        for path in self.folder.iterdir():
            if not path.is_symlink():
                path.chmod(0o644)  # dmgbuild's own files, whatever the umask
        nodes = tree.scan(
            self.folder,
            self.plan.volume_name,
            grafts=self.grafts,
            flags=self.flags,
            first=(BACKGROUND_NAME,),
        )
        volume = Volume(nodes, created=self.plan.created)
        writer.write(volume, dst, form, threads=self.threads, on_progress=self.on_progress)


def _option(arguments: Sequence[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]
