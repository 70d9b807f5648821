"""What every step may know, and small things that steps share."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from release.config import Config
from release.journal import Journal
from release.places import Places
from release.services import Services
from release.version import Version

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a step may need to know."""

    config: Config
    version: Version
    places: Places
    services: Services
    journal: Journal
    wait: bool = True
    force: frozenset[str] = field(default_factory=frozenset)
    allow_regression: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.config.root

    @property
    def python(self) -> str:
        """The minor version of Python that the bundle carries: the one that compiles its byte code."""
        return python_minor()

    def fact(self, step: str, name: str) -> Any:
        """What an earlier step found out."""
        return self.journal.entries[step].facts[name]


def python_minor() -> str:
    """This interpreter's minor version, such as "3.11"."""
    return ".".join(platform.python_version_tuple()[:2])


def tools(*names: str) -> dict[str, str]:
    """Versions of installed packages, as a step's dependency."""
    return {name: package_version(name) for name in names}


def paths(*names: str) -> Callable[[Job], Sequence[Path]]:
    """A step's outputs, by their names in Places."""
    return lambda job: [getattr(job.places, name) for name in names]


def tree_size(folder: Path) -> int:
    """Bytes in all files below `folder`, links not followed."""
    return sum(
        (Path(parent) / name).lstat().st_size for parent, _, files in os.walk(folder) for name in files
    )
