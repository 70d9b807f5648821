"""The interpreter stub of Python.framework: a fat Mach-O whose `main` is Py_BytesMain's.

py2app reads `Resources/Python.app/Contents/MacOS/Python` of a framework. Where the pinned Python has none,
zig compiles one: its linker needs no SDK, only a text stub (.tbd) that names libpython's symbol.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.bun import host_arch, host_system
from release.inputs.pins import Pins, find
from release.inputs.unpack import unpack

if TYPE_CHECKING:
    from release.inputs.cache import Cache

SOURCE: Final = """\
extern int Py_BytesMain(int argc, char **argv);

int main(int argc, char **argv) { return Py_BytesMain(argc, argv); }
"""

# A text-based stub library, version 4 (what Apple's SDKs hold in place of libraries).
LIBRARY: Final = """\
--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos, x86_64-macos ]
install-name: '{install_name}'
current-version: {version}.0
compatibility-version: {version}.0
exports:
  - targets: [ arm64-macos, x86_64-macos ]
    symbols: [ _Py_BytesMain ]
...
"""

FAT_MAGIC: Final = 0xCAFEBABE
ALIGNMENT: Final = 14  # as a power of two: arm64's page size


@dataclass(frozen=True, slots=True)
class Slice:
    """One architecture: zig's name for it, and mach/machine.h's numbers."""

    target: str
    cpu_type: int
    cpu_subtype: int


SLICES: Final = (Slice("x86_64", 0x01000007, 3), Slice("aarch64", 0x0100000C, 0))


def install_name(version: str) -> str:
    """Where python.org's libpython says that it lies; py2app rewrites it."""
    return f"/Library/Frameworks/Python.framework/Versions/{version}/Python"


def stub(cache: Cache, pins: Pins, *, version: str, runner: Runner) -> Path:
    """Give the stub executable for a Python version such as "3.11"; compiled once for each pin of zig."""
    pin = find(pins, f"zig-{host_system()}-{host_arch()}")
    library = LIBRARY.format(install_name=install_name(version), version=version)

    def build(folder: Path) -> None:
        archive = cache.fetch(pin, runner=runner)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            # Not by cache.tree: 350 MB, needed once.
            unpack(archive, Path(scratch), needed)
            zig = Path(scratch) / "ziglang" / "zig"
            parts = [(item, _compile(zig, item, Path(scratch), library, runner)) for item in SLICES]
        (folder / "Python").write_bytes(fat(parts))
        (folder / "Python").chmod(0o755)

    # The compiled bytes are the same from any host, so only zig's version counts, not its wheel.
    return cache.derived(f"stub {version} zig {pin.version} {SOURCE}{library}", build) / "Python"


def needed(name: str) -> bool:
    """Whether a file of zig is needed to link for macOS: no C++, no other system's C library."""
    if name.startswith("ziglang/lib/libc/"):
        return "darwin" in name or "macos" in name
    return not name.startswith(("ziglang/lib/libcxx", "ziglang/lib/libtsan", "ziglang/doc"))


def _compile(zig: Path, item: Slice, scratch: Path, library: str, runner: Runner) -> bytes:
    # The linker writes the output's name into the ad hoc signature: it is "Python" for both.
    folder = scratch / item.target
    folder.mkdir()
    (folder / "Python.c").write_text(SOURCE)
    (folder / "Python.tbd").write_text(library)
    # zig's own caches go with the scratch folder: nothing is left in the home folder.
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(scratch / "zig"), "ZIG_LOCAL_CACHE_DIR": str(scratch / "zig")}
    result = runner.run(
        [
            *(zig, "cc", "-target", f"{item.target}-macos.11.0", "-Os", "-s"),
            *("-Wl,-headerpad_max_install_names", "-o", "Python", "Python.c", "Python.tbd"),
        ],
        cwd=folder,
        env={**os.environ, **caches},
        check=False,
    )
    if result.status or not (folder / "Python").is_file():
        raise Fault(
            f"the interpreter stub for {item.target} cannot be compiled",
            where=zig,
            details=result.tail(),
            cure="report it with these lines; to go on, pin another version of zig in release.toml",
            status=Exit.BUNDLE,
        )
    return (folder / "Python").read_bytes()


def fat(parts: Sequence[tuple[Slice, bytes]]) -> bytes:
    """Join one Mach-O for each architecture into a universal one (mach-o/fat.h), each at a page's start."""
    page = 1 << ALIGNMENT
    header = struct.pack(">II", FAT_MAGIC, len(parts))
    body = bytearray(page)
    for item, content in parts:
        body += bytes(-len(body) % page)
        header += struct.pack(">5I", item.cpu_type, item.cpu_subtype, len(body), len(content), ALIGNMENT)
        body += content
    body[: len(header)] = header
    return bytes(body)
