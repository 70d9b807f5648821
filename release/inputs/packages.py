"""The app's Python packages for macOS, installed by uv from the hashed lock, on any machine.

uv resolves markers and wheels for the target platform; pip's --platform would evaluate markers for the host.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from commands import Runner
from release.inputs import uv
from release.inputs.faults import explain
from release.inputs.universal import merge

if TYPE_CHECKING:
    from release.inputs.cache import Cache

Arch = Literal["arm64", "x86_64", "universal2"]

PLATFORMS: Final = {"arm64": "aarch64-apple-darwin", "x86_64": "x86_64-apple-darwin"}
MINIMUM_MACOS: Final = "13.0"
FORMAT: Final = 2  # raise it when this module makes something else of the same inputs

# What an installer writes about itself: times and paths. Metadata stays: licences and importlib.metadata need
# it, and RECORD tells which package a module is from.
NOISE: Final = (
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
)


def site_packages(
    cache: Cache,
    lock: Path,
    *,
    arch: Arch,
    python: str = "3.11",
    runner: Runner,
    minimum: str = MINIMUM_MACOS,
) -> Path:
    """Give a folder with the packages of a hashed requirements file, for a Mac of one architecture or both.

    No byte code, no scripts; of the installer's notes only RECORD, with names alone: the same lock gives the
    same bytes. `minimum` is the oldest macOS to run on. Raises Fault INPUT_HASH if a download does not match
    the lock, INPUT_MISSING if a package has no wheel for that Mac, NETWORK, DISK.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    key = f"site-packages {arch} {python} {minimum} {digest} {FORMAT}"

    def build(folder: Path) -> None:
        if arch != "universal2":
            _install(lock, folder, arch, python, minimum, runner)
            return
        halves = [
            site_packages(cache, lock, arch=each, python=python, runner=runner, minimum=minimum)
            for each in ("arm64", "x86_64")
        ]
        merge(halves[0], halves[1], folder)

    return cache.derived(key, build)


def _install(
    lock: Path, folder: Path, arch: Literal["arm64", "x86_64"], python: str, minimum: str, runner: Runner
) -> None:
    # uv reads the oldest macOS to support from this variable, and takes no wheel that needs a newer one.
    env = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": minimum, "NO_COLOR": "1"}
    result = uv.run(arguments(lock, folder, arch=arch, python=python), env=env, runner=runner)
    if result.status:
        raise explain(result, f"the app's packages for {arch}", where=str(lock))
    tidy(folder)


def arguments(lock: Path, folder: Path, *, arch: Literal["arm64", "x86_64"], python: str) -> list[str | Path]:
    """The command line of uv."""
    return [
        *(uv.program(), "pip", "install", "--quiet", "--target", folder),
        *("--python-platform", PLATFORMS[arch], "--python-version", python),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"),
        *("--link-mode", "copy", "--requirement", lock),
    ]


def tidy(folder: Path) -> None:
    """Remove what is not part of the packages: scripts, locks, an installer's notes."""
    for pattern in NOISE:
        for path in folder.glob(pattern):
            path.unlink()
    for path in (folder / ".lock", folder / ".gitignore", folder / "CACHEDIR.TAG"):
        path.unlink(missing_ok=True)
    for path in (folder / "bin", *folder.rglob("__pycache__")):
        shutil.rmtree(path, ignore_errors=True)
    for record in folder.glob("*.dist-info/RECORD"):
        _shorten(record)


def _shorten(record: Path) -> None:
    """Leave the names of the files that are there, without hashes: those of native modules may change."""
    with record.open(newline="", encoding="utf-8") as file:
        names = sorted(row[0] for row in csv.reader(file) if (record.parents[1] / row[0]).is_file())
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows((name, "", "") for name in names)
