"""Sparkle.framework, with its symbolic links and modes as its makers sealed them.

Two shapes of archive are understood: the publisher's zip for the Swift package manager, which holds an
xcframework with links, and a wheel, which cannot hold links: there they are copies, and a JSON file beside
the framework (`{"links": [{"path", "target"}]}`) tells which.
"""

from __future__ import annotations

import hashlib
import json
import plistlib
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from commands import Runner
from errors import Exit, Fault
from release.inputs.pins import Pin, Pins, find
from release.inputs.unpack import inside

if TYPE_CHECKING:
    from release.inputs.cache import Cache

NAME: Final = "Sparkle.framework"


def sparkle(cache: Cache, pins: Pins, *, runner: Runner) -> Path:
    """Give Sparkle.framework; raises Fault INPUT_HASH if a sealed file in it is missing or changed."""
    pin = find(pins, "sparkle")

    def build(folder: Path) -> None:
        source, links = locate(pin, cache.tree(pin, runner=runner))
        framework = folder / NAME
        copy(source, framework, links)
        if problems := list(broken_seals(framework)):
            raise Fault(
                f"{pin.title} does not match its own seal",
                where=pin.package,
                details=tuple(problems[:8]),
                cure="do not use it: pin another version",
                status=Exit.INPUT_HASH,
            )

    return cache.derived(f"sparkle-{pin.version} {pin.digest} 1", build) / NAME


def locate(pin: Pin, tree: Path) -> tuple[Path, dict[str, str]]:
    """Find the framework for macOS in an unpacked archive, and the links to be restored ({path: target})."""
    listings = sorted(tree.rglob(f"{NAME}.symlinks.json"))
    if listings:
        return listings[0].parent / NAME, read_links(listings[0])
    frameworks = sorted(path for path in tree.rglob(NAME) if path.parent.name.startswith("macos"))
    if len(frameworks) != 1:
        raise Fault(
            f"{pin.title} holds {len(frameworks)} frameworks for macOS, one is expected",
            where=pin.package,
            status=Exit.INPUT_MISSING,
        )
    return frameworks[0], {}


def read_links(listing: Path) -> dict[str, str]:
    """Read the list of links; raises Fault INPUT_HASH for one that leaves the framework."""
    links = {entry["path"]: entry["target"] for entry in json.loads(listing.read_bytes())["links"]}
    for path, target in links.items():
        if ".." in PurePosixPath(path).parts or not inside(PurePosixPath(path).parent, target):
            raise Fault(f"a link leaves {NAME}: {path} → {target}", where=listing, status=Exit.INPUT_HASH)
    return links


def copy(source: Path, framework: Path, links: dict[str, str]) -> None:
    """Copy a framework, making links of what `links` names."""

    def skip(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if str((Path(folder) / name).relative_to(source)) in links]

    shutil.copytree(source, framework, symlinks=True, ignore=skip)
    for path, target in links.items():
        (framework / path).symlink_to(target)


def broken_seals(framework: Path) -> Iterator[str]:
    """Name what differs from the CodeResources of the framework and of the bundles in it.

    Only file hashes are compared (`files2`, SHA-256); the code signatures are the business of signing.verify.
    """
    for seal in sorted(framework.glob("Versions/[A-Z]/**/_CodeSignature/CodeResources")):
        yield from _broken(seal)


def _broken(seal: Path) -> Iterator[str]:
    root = seal.parent.parent
    for name, rule in plistlib.loads(seal.read_bytes())["files2"].items():
        path = root / name
        if not isinstance(rule, dict) or "hash2" not in rule:
            continue
        if not path.is_file():
            if not rule.get("optional"):
                yield f"missing: {path.relative_to(root.parent)}"
        elif hashlib.sha256(path.read_bytes()).digest() != rule["hash2"]:
            yield f"changed: {path.relative_to(root.parent)}"
