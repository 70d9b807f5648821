"""Where a user's things are on this system: folders, programs, applications."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.settings import default_data_dir

# Places of programs that an app started from the Finder has not on its PATH.
_USUAL_BINS = (".local/bin", ".opencode/bin", ".bun/bin", ".npm-global/bin", ".volta/bin", ".cargo/bin")
_SYSTEM_BINS = ("opt/homebrew/bin", "usr/local/bin")


@dataclass(frozen=True, slots=True)
class Home:
    """A user's environment on a platform; `root` is the folder that "/" stands for."""

    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    platform: str = sys.platform
    root: Path = Path("/")

    @property
    def path(self) -> Path:
        """The home folder."""
        return Path(self.env.get("HOME") or Path.home())

    @property
    def config(self) -> Path:
        """XDG's configuration folder, which command line agents use on macOS too."""
        return self.folder("XDG_CONFIG_HOME", ".config")

    @property
    def applications(self) -> Path:
        """Where desktop applications keep their settings."""
        return self.path / "Library" / "Application Support" if self.platform == "darwin" else self.config

    @property
    def data(self) -> Path:
        """The app's own data folder, which the backups are in."""
        given = self.env.get("API_FOR_CURSOR_DATA_DIR", "")
        return Path(given) if given.startswith("/") else default_data_dir(self.env, self.platform)

    def folder(self, variable: str, default: str) -> Path:
        """Give the folder that an environment variable names, else `default` in the home folder."""
        value = self.env.get(variable, "")
        return Path(value) if value.startswith("/") else self.path / default

    def program(self, names: Iterable[str]) -> Path | None:
        """Find the first of some programs, on PATH or where they usually are."""
        usual = (*(self.path / bin for bin in _USUAL_BINS), *(self.root / bin for bin in _SYSTEM_BINS))
        named = (folder for folder in self.env.get("PATH", "").split(os.pathsep) if folder)
        places = os.pathsep.join([*named, *map(str, usual)])
        found = (shutil.which(name, path=places) for name in names)
        return next((Path(program) for program in found if program), None)

    def application(self, names: Iterable[str]) -> Path | None:
        """Find the first of some macOS applications, for all users or this one."""
        if self.platform != "darwin":
            return None
        places = (self.root / "Applications", self.path / "Applications")
        candidates = (place / f"{name}.app" for name in names for place in places)
        return next((candidate for candidate in candidates if candidate.is_dir()), None)
