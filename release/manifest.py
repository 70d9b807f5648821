"""The manifest of a build: `releases/<version>/<build>.json`, what was published, and by whom.

Created once, before the feed offers the build and after its image was read back; so whoever finds one knows
that all of it was there. `releases/<version>/manifest.json` has the same content for the version's newest
build. Only objects that never change are listed. docs/release.md shows one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from appcast.feed import Feed
from appcast.versions import key as order
from errors import Exit, Fault
from release.objects import RELEASES
from release.store import Store

FORMAT = 1
_KEY = re.compile(re.escape(RELEASES) + r"(?P<version>[^/]+)/(?P<build>\d+(?:\.\d+){0,3})\.json")


class Listed(Struct, frozen=True):
    """One object. `size` in bytes, `sha256` hex."""

    key: str
    size: int
    sha256: str
    content_type: str


class Published(Struct, frozen=True):
    """Who made it public, when (UTC, ISO 8601), from which commit, with which tools (name → version)."""

    who: str
    at: str
    run: str | None = None
    commit: str | None = None
    tag: str | None = None
    rehearsal: bool = False
    tools: dict[str, str] = {}


class Manifest(Struct, frozen=True):
    """`channel` is "stable" for everybody's. `ed_signature` is over the image, the first of `objects`."""

    version: str
    build: str
    channel: str
    minimum_system: str
    architectures: tuple[str, ...]
    ed_signature: str
    objects: tuple[Listed, ...]
    published: Published
    format: int = FORMAT

    @property
    def image(self) -> Listed:
        """The disk image."""
        return self.objects[0]

    @property
    def release(self) -> str:
        """Version and build, as people and file names put it."""
        return f"{self.version}-{self.build}"

    def same_release(self, other: Manifest) -> bool:
        """Tell whether both list the same objects of the same build, whoever published them and when."""
        return (self.version, self.build, self.objects) == (other.version, other.build, other.objects)


def key_of(version: str, build: str) -> str:
    """Where a build's manifest is kept."""
    return f"{RELEASES}{version}/{build}.json"


def newest_key(version: str) -> str:
    """Where the manifest of a version's newest build is kept."""
    return f"{RELEASES}{version}/manifest.json"


def render(manifest: Manifest) -> bytes:
    """Write a manifest as JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def parse(data: bytes, where: str) -> Manifest:
    """Read a manifest. Raises Fault, status PUBLISH, if it is none or of a newer format."""
    try:
        made = msgspec.json.decode(data, type=Manifest)
        problem = "" if made.format == FORMAT else f"format {made.format}, this understands {FORMAT}"
        problem = problem or ("" if made.objects else "no object")
    except msgspec.MsgspecError as error:
        problem = str(error)
    if problem:
        cure = "use the release tools it was written with, or newer ones"
        raise Fault(f"the manifest cannot be read: {problem}", where=where, cure=cure, status=Exit.PUBLISH)
    return made


def load(store: Store, key: str) -> Manifest | None:
    """Read a manifest from the bucket, None if there is none."""
    found = store.get(key)
    return None if found is None else parse(found[1], key)


def builds(store: Store) -> list[tuple[str, str]]:
    """List what has a manifest: (version, build), the highest build first."""
    found = (_KEY.fullmatch(entry.key) for entry in store.list(RELEASES))
    pairs = [(match["version"], match["build"]) for match in found if match]
    return sorted(pairs, key=lambda pair: order(pair[1]), reverse=True)


def highest(store: Store, feed: Feed) -> str:
    """Return the highest build that ever was public, or was about to be; "0" if there is none."""
    known = [build for _, build in builds(store)] + [item.version for item in feed.items]
    return max(known, key=order, default="0")


def load_all(store: Store, pairs: Iterable[tuple[str, str]]) -> list[Manifest]:
    """Read several manifests side by side; what is gone by then is left out."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found: Any = pool.map(lambda pair: load(store, key_of(*pair)), pairs)
        return [made for made in found if made is not None]
