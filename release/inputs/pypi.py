"""Wheels by name, through pip."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.faults import absent, explain
from release.inputs.pins import Pin

GOT: Final = re.compile(r"Got\s+([0-9a-f]{64})")


def download(pin: Pin, folder: Path, *, runner: Runner, python: str = sys.executable) -> Path:
    """Download the pinned wheel into `folder`.

    pip checks the hash itself (--require-hashes); the caller checks it again. No cache of pip's is used:
    ours would hold the same 100 MB a second time.
    """
    listing = folder / "requirements.txt"
    listing.write_text(f"{pin.package}=={pin.version} --hash={pin.digest}\n")
    result = runner.run(arguments(pin, listing, folder, python=python), check=False)
    wheels = sorted(folder.glob("*.whl"))
    if result.status == 0 and len(wheels) == 1:
        return wheels[0]
    if got := GOT.search(result.text):
        raise Fault(
            f"{pin.title} is not the file that was pinned",
            where=f"{pin.package} {pin.tag}",
            details=(f"pinned {pin.digest}", f"found  sha256:{got[1]}"),
            cure="do not use it: the download was tampered with, or digest or tag in release.toml is wrong",
            status=Exit.INPUT_HASH,
        )
    if result.status == 0:
        raise absent(pin.title, where=f"{pin.package} {pin.tag}")
    raise explain(result, pin.title, where=f"{pin.package} {pin.tag}")


def arguments(pin: Pin, listing: Path, folder: Path, *, python: str) -> list[str | Path]:
    """The command line of pip for one wheel of any platform."""
    interpreter, abi, platform = split_tag(pin.tag)
    line: list[str | Path] = [
        *(python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-cache-dir", "--no-deps", "--only-binary=:all:", "--require-hashes", "--retries", "3"),
        *("--platform", platform, "--dest", folder, "--requirement", listing),
    ]
    if interpreter.startswith("cp"):
        line += [
            "--implementation",
            "cp",
            "--python-version",
            f"{interpreter[2]}.{interpreter[3:]}",
            "--abi",
            abi,
        ]
    return line


def split_tag(tag: str) -> tuple[str, str, str]:
    """Split a wheel tag into interpreter, ABI and platform; a platform alone means py3-none."""
    parts = tag.split("-")
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return "py3", "none", tag
