"""Where a release keeps its files. Everything lies under `dist/`, nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from release.config import Config
from release.version import Version


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one release. `work` holds what later steps need and people don't."""

    dist: Path
    folder: Path
    app_name: str
    image_name: str

    @property
    def work(self) -> Path:
        """Intermediate results."""
        return self.folder / "work"

    @property
    def runtime_note(self) -> Path:
        """Which cached runtime the bundle stands on."""
        return self.work / "runtime.json"

    @property
    def inputs_note(self) -> Path:
        """Every third-party input with its version and digest."""
        return self.work / "inputs.json"

    @property
    def bridge(self) -> Path:
        """The built JavaScript bridge."""
        return self.work / "bridge.js"

    @property
    def embedded(self) -> Path:
        """The whole app, not yet signed."""
        return self.work / "embedded" / f"{self.app_name}.app"

    @property
    def audit(self) -> Path:
        """What the audit looked at."""
        return self.work / "audit.json"

    @property
    def signing_plan(self) -> Path:
        """What was signed, in which order, with which entitlements."""
        return self.work / "signing-plan.json"

    @property
    def app(self) -> Path:
        """The signed app."""
        return self.folder / f"{self.app_name}.app"

    @property
    def raw_image(self) -> Path:
        """The disk image before its signature."""
        return self.work / "image" / self.image_name

    @property
    def signed_image(self) -> Path:
        """The disk image as it is submitted to the notary."""
        return self.work / "signed" / self.image_name

    @property
    def submission(self) -> Path:
        """The submission's id and the digest of what was submitted: written the moment Apple answers."""
        return self.work / "submission.json"

    @property
    def notary_log(self) -> Path:
        """The notary's own log."""
        return self.folder / "notary-log.json"

    @property
    def image(self) -> Path:
        """The stapled disk image: what people download."""
        return self.folder / self.image_name

    @property
    def sbom(self) -> Path:
        """What the app is made of, CycloneDX."""
        return self.folder / f"{self.image_name}.cdx.json"

    @property
    def provenance(self) -> Path:
        """Signed statements on where image and bill of materials come from."""
        return self.folder / f"{self.image_name}.intoto.jsonl"

    @property
    def notes(self) -> Path:
        """The release notes as HTML."""
        return self.folder / "notes.html"

    @property
    def pages(self) -> Path:
        """Notes that are published beside the feed, and what is embedded in it."""
        return self.work / "notes"

    @property
    def feed_draft(self) -> Path:
        """The signed feed as it would be published if nobody else publishes meanwhile."""
        return self.work / "appcast.xml"

    @property
    def appcast(self) -> Path:
        """The signed feed as it was published."""
        return self.folder / "appcast.xml"

    @property
    def verification(self) -> Path:
        """What was checked on the public side, and how it went."""
        return self.folder / "verification.json"

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.folder / "journal.json"

    @property
    def summary(self) -> Path:
        """release.json: what was made."""
        return self.folder / "release.json"

    @property
    def rehearsal(self) -> Path:
        """The rehearsal's own world: identity, keys, Apple's stand-in, the bucket."""
        return self.dist / "rehearsal"


def world(config: Config, dist: Path | None = None) -> Places:
    """The paths of no release in particular: for who wants dist/ itself, or the rehearsal's own world."""
    return places(config, Version("0.0", "0", 0), dist)


def places(config: Config, version: Version, dist: Path | None = None) -> Places:
    """The paths for one version of one profile."""
    home = dist or config.root / "dist"
    name = config.image.name.format(version=version.version, build=version.build)
    folder = str(version) if config.rehearsal else f"{version}-{config.profile_name}"
    return Places(home, home / folder, config.app.name, name)
