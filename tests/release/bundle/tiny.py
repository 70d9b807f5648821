"""Small things that look like what a bundle is made of: Mach-O files, a spec, an app."""

from __future__ import annotations

import plistlib
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from release.bundle import tree
from release.bundle.compile import compile_file
from release.bundle.spec import BundleSpec
from tests.signing.machos import CPUS

EPOCH = 1_700_000_000
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # byte code is made with this one
MH_EXECUTE, MH_DYLIB = 2, 6


def macho(
    arch: str = "arm64",
    *,
    loads: Sequence[str] = ("/usr/lib/libSystem.B.dylib",),
    rpaths: Sequence[str] = (),
    identity: str = "",
    minimum: tuple[int, int] = (11, 0),
    old_style: bool = False,
    tail: bytes = b"",
) -> bytes:
    """A thin Mach-O of load commands alone: what it loads, where it looks, from which macOS on it runs."""
    commands = [_named(0xC, 24, name) for name in loads]
    commands += [_named(0x8000001C, 12, name) for name in rpaths]
    commands += [_named(0xD, 24, identity)] if identity else []
    packed = minimum[0] << 16 | minimum[1] << 8
    if old_style:
        commands.append(struct.pack("<4I", 0x24, 16, packed, packed))
    else:
        commands.append(struct.pack("<6I", 0x32, 24, 1, packed, packed, 0))
    body = b"".join(commands)
    cpu, subtype = CPUS[arch]
    kind = MH_DYLIB if identity else MH_EXECUTE
    return struct.pack("<8I", 0xFEEDFACF, cpu, subtype, kind, len(commands), len(body), 0, 0) + body + tail


def _named(command: int, offset: int, name: str) -> bytes:
    text = name.encode() + b"\0"
    text += bytes(-(offset + len(text)) % 8)
    middle = struct.pack("<3I", 2, 0x10000, 0x10000) if offset == 24 else b""
    return struct.pack("<3I", command, offset + len(text), offset) + middle + text


def spec(source: Path, **changed: object) -> BundleSpec:
    values: dict[str, object] = {
        "name": "Tiny",
        "bundle_id": "org.example.tiny",
        "version": "1.2.3",
        "build": "45",
        "arch": "arm64",
        "python": PYTHON,
        "feed_url": "https://example.org/appcast.xml",
        "public_ed_key": "A" * 43 + "=",
        "category": "public.app-category.developer-tools",
        "copyright": "Copyright © 2026",
        "epoch": EPOCH,
        "source": source,
    }
    return BundleSpec(**{**values, **changed})  # type: ignore[arg-type]


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def runtime(root: Path, *, arch: str = "arm64") -> Path:
    """What build_runtime leaves, in miniature."""
    app = root / "Runtime.app"
    framework = f"Contents/Frameworks/Python.framework/Versions/{PYTHON}"
    made = {
        "CFBundleName": "Tiny",
        "PyMainFileNames": ["__boot__"],
        "PyOptions": {"alias": False},
        "PyResourcePackages": [],
        "PyRuntimeLocations": [f"@executable_path/../Frameworks/Python.framework/Versions/{PYTHON}/Python"],
        "PythonInfoDict": {"PythonExecutable": "/home/someone/python", "PythonShortVersion": "3.1"},
    }
    write(
        app,
        {
            "Contents/Info.plist": plistlib.dumps(made),
            "Contents/MacOS/Tiny": macho(arch),
            f"{framework}/Python": macho(arch, identity="/Library/Python"),
            f"{framework}/Resources/Info.plist": plistlib.dumps({"CFBundleVersion": f"{PYTHON}.9"}),
            "Contents/Resources/__boot__.py": "print('boot')\n",
            f"Contents/Resources/lib/python{PYTHON}/lib-dynload/math.so": macho(arch),
        },
    )
    (app / "Contents/MacOS/Tiny").chmod(0o755)
    (app / "Contents/Frameworks/Python.framework/Python").symlink_to(f"Versions/{PYTHON}/Python")
    return app


def sparkle(root: Path) -> Path:
    """A framework with the links one has."""
    framework = root / "Sparkle.framework"
    write(
        framework, {"Versions/B/Sparkle": macho(identity="@rpath/Sparkle"), "Versions/B/Headers/S.h": "//\n"}
    )
    (framework / "Versions/Current").symlink_to("B")
    (framework / "Sparkle").symlink_to("Versions/Current/Sparkle")
    return framework


def drawing(root: Path) -> Path:
    """An icon that is drawn in no time."""
    picture = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0H8V8Z"/></svg>'
    return write(root, {"icon.svg": picture}) / "icon.svg"


def source(root: Path) -> Path:
    """A repository with an app in it."""
    return write(
        root,
        {
            "app/__init__.py": "",
            "app/__main__.py": "import json\n\n\ndef main() -> int:\n    return len(json.dumps(1))\n",
            "app/web/page.html": "<p>\n",
            "app/bridge/src/main.mjs": "// not shipped as source\n",
            "app/bridge/node_modules/x/index.js": "//\n",
            "app/web/__pycache__/old.cpython-311.pyc": b"old",
            "app/.hidden": "no\n",
        },
    )


def compiled(root: Path, text: str = "x = 1\n", name: str = "app/x.py") -> bytes:
    """Byte code of `text`, made under `name`."""
    path = root / "to-compile.py"
    path.write_text(text)
    data = compile_file(path, name)
    path.unlink()
    return data


def forget(path: Path) -> None:
    tree.remove(path)
