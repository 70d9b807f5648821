"""Small real Mach-O files, written by hand: a header, three segments, a little code, room for a signature."""

from __future__ import annotations

import plistlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

ARM64, X86_64 = (0x0100_000C, 0), (0x0100_0007, 3)
CPUS = {"arm64": ARM64, "x86_64": X86_64}
EXECUTE, DYLIB = 2, 6
PAGES = {"arm64": 0x4000, "x86_64": 0x1000}
CODE = {"arm64": b"\x00\x00\x80\xd2\xc0\x03\x5f\xd6", "x86_64": b"\x31\xc0\xc3\x90"}  # return 0


def macho(
    arch: str = "arm64",
    *,
    kind: int = EXECUTE,
    room: int = 64,
    minimum: tuple[int, int] = (13, 0),
    code_size: int = 256,
    name: str = "@rpath/libtiny.dylib",
    info: bytes = b"",
) -> bytes:
    """A thin Mach-O with `room` bytes between load commands and code, for macOS `minimum` and later."""
    page = PAGES[arch]
    commands = [_segment(b"__PAGEZERO", 0, 0, ())] if kind == EXECUTE else []
    extras = [_build_version(minimum), _dylib(name) if kind == DYLIB else _main()]
    sections = 2 if info else 1
    size = sum(map(len, commands)) + sum(map(len, extras)) + 72 + 80 * sections + 72
    start = 32 + size + room
    code = (CODE[arch] * (code_size // len(CODE[arch]) + 1))[:code_size]
    text_size = -(-(start + code_size + len(info)) // page) * page
    parts = [_section(b"__text", start, code_size, 0x8000_0400)]
    if info:
        parts.append(_section(b"__info_plist", start + code_size, len(info), 0))
    linkedit = b"\x01" * 16
    commands += [_segment(b"__TEXT", 0, text_size, parts), _segment(b"__LINKEDIT", text_size, 16, ())]
    body = b"".join((*commands, *extras))
    cpu, subtype = CPUS[arch]
    header = struct.pack("<8I", 0xFEEDFACF, cpu, subtype, kind, len(commands) + 2, len(body), 0x85, 0)
    head = (header + body + bytes(room) + code + info).ljust(text_size, b"\0")
    return head + linkedit


def _segment(name: bytes, offset: int, size: int, sections: Sequence[bytes]) -> bytes:
    length = 72 + 80 * len(sections)
    base = 0 if name == b"__PAGEZERO" else 0x1_0000_0000 + offset
    span = 0x1_0000_0000 if name == b"__PAGEZERO" else -(-size // 0x4000) * 0x4000
    protection = {b"__PAGEZERO": 0, b"__TEXT": 5}.get(name, 1)
    fields = (0x19, length, name, base, span, offset, size, protection, protection, len(sections), 0)
    return struct.pack("<II16s4Q4I", *fields) + b"".join(sections)


def _section(name: bytes, offset: int, size: int, flags: int) -> bytes:
    return struct.pack(
        "<16s16sQQ8I", name, b"__TEXT", 0x1_0000_0000 + offset, size, offset, 2, 0, 0, flags, 0, 0, 0
    )


def _build_version(minimum: tuple[int, int]) -> bytes:
    return struct.pack("<6I", 0x32, 24, 1, minimum[0] << 16 | minimum[1] << 8, 26 << 16, 0)


def _main() -> bytes:
    return struct.pack("<IIQQ", 0x8000_0028, 24, 0x400, 0)


def _dylib(name: str) -> bytes:
    raw = name.encode() + b"\0"
    raw += bytes(-len(raw) % 8)
    return struct.pack("<6I", 0xD, 24 + len(raw), 24, 1, 0x10000, 0x10000) + raw


def universal(slices: Mapping[str, bytes], *, align: int = 14) -> bytes:
    """A universal Mach-O of thin ones, by architecture."""
    offset, table, body = 1 << align, b"", b""
    for arch, data in slices.items():
        table += struct.pack(">5I", *CPUS[arch], offset, len(data), align)
        body = body.ljust(offset - (1 << align), b"\0") + data
        offset = -(-(offset + len(data)) // (1 << align)) * (1 << align)
    return (struct.pack(">II", 0xCAFEBABE, len(slices)) + table).ljust(1 << align, b"\0") + body


def both(*, room: int = 64, minimum: tuple[int, int] = (13, 0)) -> bytes:
    """A universal program for both architectures."""
    return universal({arch: macho(arch, room=room, minimum=minimum) for arch in ("x86_64", "arm64")})


def write(path: Path, data: bytes) -> Path:
    """Write an executable file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def plist(path: Path, **values: object) -> Path:
    """Write a property list, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(values))
    return path


def bundle(root: Path, identifier: str, executable: str = "", **values: object) -> Path:
    """A bundle with Contents: Info.plist and a small main executable."""
    name = executable or root.stem
    facts = {"CFBundleIdentifier": identifier, "CFBundleExecutable": name, "CFBundlePackageType": "APPL"}
    plist(root / "Contents/Info.plist", **facts, **values)
    write(root / "Contents/MacOS" / name, macho())
    return root


def framework(root: Path, identifier: str, version: str = "A") -> Path:
    """A versioned framework with its links."""
    base = root / "Versions" / version
    plist(base / "Resources/Info.plist", CFBundleIdentifier=identifier, CFBundleExecutable=root.stem)
    write(base / root.stem, macho(kind=DYLIB, name=f"@rpath/{root.name}/Versions/{version}/{root.stem}"))
    (root / "Versions/Current").symlink_to(version)
    for name in (root.stem, "Resources"):
        (root / name).symlink_to(f"Versions/Current/{name}")
    return root


def app(root: Path) -> Path:
    """A small app with everything a seal knows.

    Resources, a localization, a link, a program and a library beside the main executable, a framework with a
    program, an app and a service of its own, a Mach-O among the resources.
    """
    bundle(root, "com.example.tiny", CFBundleShortVersionString="1.0", CFBundleVersion="1")
    contents = root / "Contents"
    (contents / "PkgInfo").write_text("APPL????")
    write(contents / "Helpers/bun", macho())
    write(contents / "Frameworks/libtiny.3.dylib", macho(kind=DYLIB))
    write(contents / "Resources/lib/tiny.cpython-311-darwin.so", macho(kind=DYLIB, minimum=(10, 9)))
    (contents / "Resources/data.txt").write_text("data\n")
    (contents / "Resources/en.lproj").mkdir()
    (contents / "Resources/en.lproj/tiny.strings").write_text('"a" = "b";\n')
    (contents / "Resources/link.txt").symlink_to("data.txt")
    sparkle(contents / "Frameworks/Sparkle.framework")
    return root


def sparkle(root: Path) -> Path:
    """A framework in the shape of Sparkle's."""
    framework(root, "org.example.Sparkle", "B")
    base = root / "Versions/B"
    write(base / "Autoupdate", both())
    bundle(base / "Updater.app", "org.example.Updater")
    bundle(base / "XPCServices/Installer.xpc", "org.example.Installer")
    bundle(base / "XPCServices/Downloader.xpc", "org.example.Downloader")
    for name in ("Autoupdate", "Updater.app", "XPCServices"):
        (root / name).symlink_to(f"Versions/Current/{name}")
    return root
