"""What a release would make public, in the order in which it would be written: known before it is made.

A dry run shows it. A test holds it to what publishing (release/publish.py) really writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from release import manifest, notes
from release.config import Config
from release.objects import (
    FEED_KEY,
    FEED_TYPE,
    FEEDS,
    IMAGE_TYPE,
    IMMUTABLE,
    JSON_TYPE,
    RELEASES,
    SHORT,
    disposition,
)
from release.places import Places
from release.provenance import MEDIA_TYPE as STATEMENTS_TYPE
from release.sbom.cyclonedx import MEDIA_TYPE as SBOM_TYPE
from release.version import Version

CREATED = "created, never replaced"
SWAPPED = "in place of what was read"
COPIED = "a copy, once the feed is public"
KEPT = f"{FEEDS}<time>-<digest>.xml"


@dataclass(frozen=True, slots=True)
class Planned:
    """One object. `how` says on which condition it is written."""

    key: str
    content_type: str
    cache_control: str
    how: str
    disposition: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """How it is served."""
        found = {"Content-Type": self.content_type, "Cache-Control": self.cache_control}
        return found | ({"Content-Disposition": self.disposition} if self.disposition else {})


def objects(config: Config, version: Version, places: Places) -> tuple[Planned, ...]:
    """Return the objects of a release in the order of their writing."""
    latest = RELEASES + config.image.latest
    as_image = disposition(places.image_name)
    return (
        Planned(RELEASES + places.image_name, IMAGE_TYPE, IMMUTABLE, CREATED, as_image),
        *_pages(config, version),
        _created(RELEASES + places.sbom.name, SBOM_TYPE),
        _created(RELEASES + places.provenance.name, STATEMENTS_TYPE),
        _created(manifest.key_of(version.version, version.build), JSON_TYPE),
        Planned(FEED_KEY, FEED_TYPE, SHORT, SWAPPED),
        Planned(KEPT, FEED_TYPE, IMMUTABLE, "each feed, so that it can be gone back to"),
        Planned(latest, IMAGE_TYPE, SHORT, COPIED, as_image),
        Planned(manifest.newest_key(version.version), JSON_TYPE, SHORT, SWAPPED),
    )


def purged(config: Config) -> tuple[str, ...]:
    """Return the addresses that caches are told to forget afterwards; none where no zone is configured."""
    if config.profile.publish.purge_zone is None:
        return ()
    site, latest = config.site, config.image.latest
    return (f"{site}/download", f"{site}/{FEED_KEY}", f"{site}/{RELEASES}{latest}")


def _pages(config: Config, version: Version) -> Iterator[Planned]:
    for one in notes.planned(config.root, config.notes, version=version.version, build=version.build):
        kind = notes.TYPES[Path(one.name).suffix]
        if one.kind == "notes":
            yield _created(RELEASES + one.name, kind)
        else:
            yield Planned(RELEASES + one.name, kind, SHORT, SWAPPED)


def _created(key: str, content_type: str) -> Planned:
    return Planned(key, content_type, IMMUTABLE, CREATED)
