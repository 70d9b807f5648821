"""What has been done for one release, and from what: `dist/<version>-<build>/journal.json`.

Written whole and atomically after every step, so a killed run loses at most the step it was in. A step's
entry holds the digest of its inputs (`key`), the digests of its outputs, and facts that later steps need (an
id, a signature). No secret ever gets in: facts are what a step chose to publish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from errors import Exit, Fault
from release.files import write_atomic

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished step. `outputs` maps paths relative to the release's folder to digests."""

    key: str
    outputs: Mapping[str, str]
    facts: Mapping[str, Any]
    seconds: float


@dataclass(slots=True)
class Journal:
    """The entries of one release, by step name."""

    path: Path
    source: str = ""
    published: bool = False
    profile: str = ""
    entries: dict[str, Entry] = field(default_factory=dict)

    def record(self, name: str, entry: Entry) -> None:
        """Keep `entry` and write the journal."""
        self.entries[name] = entry
        self.save()

    def forget(self, name: str) -> None:
        """Drop a step that is about to be redone, so that a crash in it can't look like success."""
        if self.entries.pop(name, None) is not None:
            self.save()

    def save(self) -> None:
        """Write atomically."""
        steps = {name: asdict(entry) for name, entry in self.entries.items()}
        data = {
            "format": FORMAT,
            "profile": self.profile,
            "source": self.source,
            "published": self.published,
            "steps": steps,
        }
        write_atomic(self.path, json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")


def load(path: Path, profile: str = "") -> Journal:
    """Read a journal; an absent one is empty. Fault if it can't be understood, or is another profile's."""
    try:
        data = json.loads(path.read_bytes())
        entries = {name: Entry(**entry) for name, entry in data["steps"].items()}
        known = data["format"] == FORMAT
    except FileNotFoundError:
        return Journal(path, profile=profile)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Fault(
            f"the release's journal can't be read: {error}", where=path, cure="delete it: steps run again"
        ) from None
    if not known:
        return Journal(path, profile=profile)
    kept = str(data.get("profile", ""))
    if profile and kept not in ("", profile):
        raise Fault(
            f"this is the journal of a {kept} release, not of a {profile} one",
            where=path,
            cure="remove this folder, and run it again",
            status=Exit.CONFIG,
        )
    return Journal(path, data.get("source", ""), bool(data.get("published")), profile or kept, entries)
