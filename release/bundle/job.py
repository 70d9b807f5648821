"""What the building process is told, and what it answers: two JSON files.

py2app runs in a process of its own. It changes the interpreter's paths and modules as it works, and the
portable way changes more; none of that may touch the release.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One run of py2app. Paths are absolute; `needs` is a script that imports what the app imports."""

    name: str
    python: str
    prefix: str
    site_packages: str
    work: str
    dist: str
    launcher: str
    needs: str
    required: tuple[str, ...]  # modules that must be found

    def write(self, path: Path) -> None:
        """Write it to `path`, for the other process."""
        path.write_text(json.dumps(dataclasses.asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `write` wrote."""
        values = json.loads(path.read_text("utf-8"))
        return cls(**{**values, "required": tuple(values["required"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went: the app made, modules that were required and not found, seconds a phase."""

    app: str
    missing: tuple[str, ...]
    seconds: dict[str, float]

    def write(self, path: Path) -> None:
        """Write it to `path`, for the other process."""
        path.write_text(json.dumps(dataclasses.asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Answer:
        """Read what `write` wrote."""
        values = json.loads(path.read_text("utf-8"))
        return cls(**{**values, "missing": tuple(values["missing"])})
