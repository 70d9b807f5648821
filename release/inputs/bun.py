"""The Bun executable, for the Mac's architectures and for the machine that builds."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from commands import Runner
from errors import Exit, Fault
from release.inputs.pins import Pins, find

if TYPE_CHECKING:
    from release.inputs.cache import Cache

Target = Literal["arm64", "x86_64", "host"]


def host_arch(machine: str | None = None) -> Literal["arm64", "x86_64"]:
    """Name this machine's architecture as Apple does; raises Fault TOOL for one that no input supports."""
    machine = (machine or platform.machine()).lower()
    if machine in {"arm64", "aarch64"}:
        return "arm64"
    if machine in {"x86_64", "amd64"}:
        return "x86_64"
    raise Fault(
        f"a machine of the kind {machine} cannot build this",
        cure="use a machine with arm64 or x86_64",
        status=Exit.TOOL,
    )


def host_system(system: str = sys.platform) -> Literal["darwin", "linux"]:
    """Name this machine's system as the pins do."""
    return "darwin" if system == "darwin" else "linux"


def pin_name(target: Target) -> str:
    """Name the pin for a target: `bun-<system>-<arch>`; the targets by name are macOS."""
    return f"bun-{host_system()}-{host_arch()}" if target == "host" else f"bun-darwin-{target}"


def bun(cache: Cache, pins: Pins, target: Target, *, runner: Runner) -> Path:
    """Give the Bun executable for a Mac of that architecture, or the one that runs here (`host`)."""
    pin = find(pins, pin_name(target))
    tree = cache.tree(pin, runner=runner)
    # npm: package/bin/bun; the publisher's zip: bun-<system>-<arch>/bun
    found = [path for path in (*tree.glob("*/bin/bun"), *tree.glob("*/bun")) if path.is_file()]
    if len(found) != 1:
        raise Fault(
            f"{pin.title} holds {len(found)} files that could be Bun, one is expected",
            where=pin.package,
            cure=f"correct the pin {pin.name} in release.toml",
            status=Exit.INPUT_MISSING,
        )
    return found[0]
