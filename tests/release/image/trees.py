"""Trees to put into images, and what independent readers find in those images."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dpp
import pytest

from release.image.hfsplus import names, tree
from release.image.hfsplus.volume import Volume
from release.image.reader import DiskImage
from release.image.udif import writer

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Thing:
    """One entry as a reader sees it; `data` is a file's bytes or a link's target, `mode` permission bits."""

    kind: str
    mode: int
    data: bytes = b""


Seen = dict[str, Thing]


def make(root: Path, content: Mapping[str, Any]) -> None:
    """Lay out nested dicts as folders, bytes as files (executable if they start with #!), text as links."""
    root.mkdir(parents=True, exist_ok=True)
    for name, what in content.items():
        path = root / name
        if isinstance(what, bytes):
            path.write_bytes(what)
            path.chmod(0o755 if what.startswith(b"#!") else 0o640 if len(what) % 2 else 0o644)
        elif isinstance(what, str):
            path.symlink_to(what)
        else:
            make(path, what)
            path.chmod(0o755 if len(what) % 2 else 0o775)


def image(root: Path, dst: Path, *, form: str = "ULFO", threads: int = 1, name: str = "Volume") -> Path:
    """Put the tree under `root` into an image, without a window."""
    writer.write(Volume(tree.scan(root, name), created=EPOCH), dst, form, threads=threads)
    return dst


def on_disk(root: Path) -> Seen:
    seen: Seen = {}
    for path in root.rglob("*"):
        inside = names.decompose(path.relative_to(root).as_posix())
        status = path.lstat()
        if path.is_symlink():
            seen[inside] = Thing("link", 0o755, os.fsencode(path.readlink()))
        elif path.is_dir():
            seen[inside] = Thing("dir", stat.S_IMODE(status.st_mode))
        else:
            seen[inside] = Thing("file", stat.S_IMODE(status.st_mode), path.read_bytes())
    return seen


def by_us(path: Path) -> Seen:
    with DiskImage.open(path) as opened:
        assert opened.checksums() == []
        return {
            entry.path: Thing(
                entry.kind,
                entry.mode,
                b"".join(opened.read(entry.path))
                if entry.kind == "file"
                else os.fsencode(entry.target or ""),
            )
            for entry in opened.entries()
        }


def by_dpp(path: Path) -> Seen:
    kinds = {"file": "file", "directory": "dir", "symlink": "link"}
    with dpp.open(str(path)) as opened:
        volume = opened.filesystem()
        seen: Seen = {}
        for entry in volume.walk():
            found = volume.stat(entry.path)
            data = b"" if entry.kind == "directory" else bytes(volume.read_file(entry.path))
            seen[entry.path.strip("/")] = Thing(kinds[entry.kind], stat.S_IMODE(found.mode), data)
        seen.pop("", None)
        return seen


def seven_zip() -> str:
    found = shutil.which("7zz") or shutil.which("7z")
    if found is None:
        pytest.skip("7-Zip is not installed (apt-get install 7zip)")
    return found


def by_7z(path: Path, scratch: Path) -> Seen:
    """What 7-Zip lists (kinds, modes) and unpacks (bytes, targets)."""
    shutil.rmtree(scratch, ignore_errors=True)
    run = (seven_zip(), "x", "-bd", "-snld", f"-o{scratch}", str(path))
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(
        (seven_zip(), "l", "-slt", "-ba", str(path)), capture_output=True, text=True, check=True
    ).stdout
    seen: Seen = {}
    for block in re.split(r"\n\n+", listing):
        fields = dict(re.findall(r"^(\w[\w ]*) = (.*)$", block, re.MULTILINE))
        _, _, inside = fields.get("Path", "").partition("/")
        if inside:
            seen[names.decompose(inside)] = _listed(fields, scratch / fields["Path"])
    return seen


def _listed(fields: Mapping[str, str], unpacked: Path) -> Thing:
    kind = {"d": "dir", "l": "link", "-": "file"}[fields["Mode"][0]]
    bits = "".join("0" if letter == "-" else "1" for letter in fields["Mode"][1:])
    if kind == "link":
        return Thing(kind, int(bits, 2), os.fsencode(unpacked.readlink()))
    return Thing(kind, int(bits, 2), b"" if kind == "dir" else unpacked.read_bytes())


def differences(expected: Seen, found: Seen) -> list[str]:
    """Paths on which two readers disagree, so that a failing test doesn't print whole files."""
    return sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
