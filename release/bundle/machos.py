"""What a Mach-O says about itself: architecture, oldest system, and the libraries it loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from macholib import mach_o
from macholib.MachO import MachO

from release.bundle.thin import CPU_TYPES

SYSTEM = ("/usr/lib/", "/System/Library/")


@dataclass(frozen=True, slots=True)
class Image:
    """One slice of a Mach-O. `minimum` is the oldest macOS it runs on; (0, 0) if it does not say."""

    arch: str
    identity: str
    loads: tuple[str, ...]
    rpaths: tuple[str, ...]
    minimum: tuple[int, int]


def images(path: Path) -> tuple[Image, ...]:
    """Read every slice of the Mach-O at `path`; raises OSError, or ValueError for what is none or damaged."""
    try:
        return tuple(_image(header) for header in MachO(str(path)).headers)
    except OSError:
        raise
    except Exception as error:  # macholib raises struct.error, KeyError and others on damaged files
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _image(header: object) -> Image:
    identity, rpaths, minimum = "", [], (0, 0)
    for load, command, data in header.commands:  # type: ignore[attr-defined]
        if load.cmd == mach_o.LC_ID_DYLIB:
            identity = _text(data)
        elif load.cmd == mach_o.LC_RPATH:
            rpaths.append(_text(data))
        elif load.cmd == mach_o.LC_BUILD_VERSION:
            minimum = _version(int(command.minos))
        elif load.cmd == mach_o.LC_VERSION_MIN_MACOSX:
            minimum = _version(int(command.version))
    loads = tuple(name for _, _, name in header.walkRelocatables())  # type: ignore[attr-defined]
    cpu = int(header.header.cputype)  # type: ignore[attr-defined]
    arch = next((name for name, number in CPU_TYPES.items() if number == cpu), f"{cpu:#x}")
    return Image(arch, identity, tuple(x for x in loads if x != identity), tuple(rpaths), minimum)


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def _version(packed: int) -> tuple[int, int]:
    """Unpack <mach-o/loader.h>'s xxxx.yy.zz nibbles to (major, minor)."""
    return packed >> 16, packed >> 8 & 0xFF


def is_system(reference: str) -> bool:
    """Whether `reference` names a library that comes with macOS."""
    return reference.startswith(SYSTEM)


def candidates(reference: str, image: Image, loader: Path, executables: Path) -> tuple[Path, ...]:
    """Give the files dyld would try for `reference` from the Mach-O at `loader`; none if it is the system's.

    `executables` is the folder of the main executable, Contents/MacOS.
    """
    if is_system(reference):
        return ()
    if reference.startswith("@rpath/"):
        tails = (f"{base.rstrip('/')}/{reference.removeprefix('@rpath/')}" for base in image.rpaths)
        return tuple(_place(tail, loader, executables) for tail in tails)
    return (_place(reference, loader, executables),)


def _place(reference: str, loader: Path, executables: Path) -> Path:
    for mark, folder in (("@loader_path", loader.parent), ("@executable_path", executables)):
        if reference == mark or reference.startswith(mark + "/"):
            return Path(f"{folder}{reference[len(mark) :]}")
    return Path(reference)
