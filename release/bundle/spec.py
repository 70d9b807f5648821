"""What a bundle is made from, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from errors import Exit, Fault

Arch = Literal["arm64", "x86_64", "universal2"]
SLICES: dict[str, tuple[str, ...]] = {
    "arm64": ("arm64",),
    "x86_64": ("x86_64",),
    "universal2": ("x86_64", "arm64"),
}


class BundleFault(Fault):
    """The bundle could not be made."""

    status = Exit.BUNDLE


@dataclass(frozen=True, slots=True)
class BundleSpec:
    """The app as it is to be shipped.

    `version` is what people read (CFBundleShortVersionString), `build` what Sparkle compares
    (CFBundleVersion). `python` is the minor version, such as "3.11". `epoch` (seconds) is the time every
    file in the bundle carries. `source` is the root of the repository: it holds `app/`.
    """

    name: str
    bundle_id: str
    version: str
    build: str
    arch: str
    python: str
    feed_url: str
    public_ed_key: str
    category: str
    copyright: str
    epoch: int
    source: Path
    minimum_system: str = "13.0"
    signed_feed: bool = True

    def __post_init__(self) -> None:
        if self.arch not in SLICES:
            raise BundleFault(f"{self.arch} is not an architecture: {', '.join(SLICES)}")

    @property
    def slices(self) -> tuple[str, ...]:
        """The architectures every Mach-O has to carry."""
        return SLICES[self.arch]
