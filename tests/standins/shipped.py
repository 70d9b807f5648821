"""A public side with small releases, really signed, imaged, stapled, attested: to try verification on."""

from __future__ import annotations

import hashlib
import plistlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appcast import history, xml
from appcast.feed import Enclosure, Feed, Item, NotesLink
from appcast.history import Identity
from release import manifest, provenance
from release.manifest import Listed, Manifest
from release.objects import (
    FEED_KEY,
    FEED_TYPE,
    IMAGE_TYPE,
    IMMUTABLE,
    JSON_TYPE,
    RELEASES,
    SHORT,
    disposition,
)
from release.provenance import Build, Resource
from release.sbom import cyclonedx
from release.sbom.native import SPARKLE_PLACE
from release.sbom.part import Part, github, pypi
from signing import eddsa
from signing.plan import plan_app
from signing.staple import staple_image
from signing.verify import verify_image
from tests.signing import machos
from tests.standins import signed
from tests.standins.store import MemoryStore

SITE = "http://127.0.0.1:1"  # where nothing listens: the session is routed
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
LATEST = "Tiny-latest.dmg"
DATE = datetime(2026, 1, 2, tzinfo=UTC)
HTML = "text/html; charset=utf-8"
CHANGELOG = b"<!doctype html><title>Tiny</title><h1>All versions</h1>"


@dataclass(frozen=True)
class Release:
    """One release as made: files, what signs it, and what it says of itself."""

    folder: Path
    version: str
    build: str
    key: Ed25519PrivateKey
    app_key: Ed25519PrivateKey
    sbom: bytes
    statements: bytes

    @property
    def name(self) -> str:
        """The image's file name."""
        return f"Tiny-{self.version}-{self.build}.dmg"

    @property
    def image(self) -> Path:
        """The stapled image."""
        return self.folder / self.name

    @property
    def notes(self) -> eddsa.SignedNotes:
        """The signed notes."""
        return eddsa.sign_notes(f"<h1>Tiny {self.version}</h1><p>Better.</p>".encode(), self.key)

    @property
    def item(self) -> Item:
        """The feed's item."""
        url = f"{SITE}/{RELEASES}{self.name}"
        size, signature = self.image.stat().st_size, eddsa.sign_file(self.image, self.key)
        notes = self.notes
        return Item(
            self.build,
            self.version,
            title=f"Tiny {self.version}",
            published=DATE.replace(hour=int(self.build)),
            minimum_system_version="13.0.0",
            hardware_requirements=("arm64",),
            enclosure=Enclosure(url, size, IMAGE_TYPE, signature=signature),
            release_notes=(NotesLink(f"{url}.html", "en", notes.signature, notes.length),),
            full_release_notes=(NotesLink(f"{SITE}/{RELEASES}notes.html"),),
        )

    @property
    def identity(self) -> Identity:
        """Who signed, as the feed records it."""
        certificate = signed.identity(self.folder.parent).certificate_pem
        digest = hashlib.sha256(certificate).hexdigest()
        return Identity(eddsa.public_key(self.app_key), digest, "ABCDE12345", self.build, self.build)


def make(
    folder: Path,
    build: str = "7",
    *,
    key: Ed25519PrivateKey = KEY,
    app_key: Ed25519PrivateKey | None = None,
    **info: object,
) -> Release:
    """Make version 1.BUILD; `key` signs, `app_key` (else the same) is in the app; `info`: its Info.plist."""
    home = folder / build
    home.mkdir(parents=True)
    version = f"1.{build}"
    values = {
        "CFBundleShortVersionString": version,
        "CFBundleVersion": build,
        "LSMinimumSystemVersion": "13.0.0",
        "SUFeedURL": f"{SITE}/{FEED_KEY}",
        "SUPublicEDKey": eddsa.public_key(app_key or key),
        "SURequireSignedFeed": True,
        **info,
    }
    raw, app = _app(home / "raw" / "Tiny.app", values), home / "signed" / "Tiny.app"
    app.parent.mkdir()
    signed.signer(folder, None).sign_app(plan_app(raw), raw, app)
    unstapled = _image(folder, home, app)
    ticket = b"s8ch" + bytes.fromhex(verify_image(unstapled).cdhash)
    release = Release(home, version, build, key, app_key or key, sbom(version, build), b"")
    staple_image(unstapled, release.image, ticket)
    return replace(release, statements=statements(release))


def _app(path: Path, values: dict[str, object]) -> Path:
    raw = machos.app(path)
    plist = raw / "Contents/Info.plist"
    plist.write_bytes(plistlib.dumps({**plistlib.loads(plist.read_bytes()), **values}))
    machos.write(raw / "Contents/Helpers/bun", machos.macho(info=b"\0Bun/1.4.5\0"))
    sparkle = raw / "Contents/Frameworks/Sparkle.framework/Versions/B/Resources/Info.plist"
    facts = {**plistlib.loads(sparkle.read_bytes()), "CFBundleShortVersionString": "2.9.4"}
    sparkle.write_bytes(plistlib.dumps(facts))
    with zipfile.ZipFile(raw / "Contents/Resources/lib/python311.zip", "w") as archive:
        for name in ("h11/__init__.pyc", "h11/_state.pyc", "json/__init__.pyc", "app/__init__.pyc"):
            archive.writestr(zipfile.ZipInfo(name), b"")
    return raw


def _image(folder: Path, home: Path, app: Path) -> Path:
    """Sign an image by the identity that all releases in `folder` share."""
    for name in ("background.gif", "volume.icns"):
        (home / name).unlink(missing_ok=True)
    raw = signed.image(folder, app, None, name=f"unstapled-{home.name}.dmg")
    return raw.rename(home / "unstapled.dmg")


def sbom(version: str, build: str, *changes: Part) -> bytes:
    """The bill of materials of the small app; `changes` are further parts."""
    zipped = "Contents/Resources/lib/python311.zip/h11"
    parts = [
        Part("Bun", "1.4.5", github("oven-sh", "bun", "bun-v1.4.5"), "MIT", ("Contents/Helpers/bun",)),
        Part("Sparkle", "2.9.4", github("sparkle-project", "Sparkle", "2.9.4"), "MIT", (SPARKLE_PLACE,)),
        Part("h11", "0.16.0", pypi("h11", "0.16.0"), "MIT", (zipped,)),
        Part("tiny", "1", pypi("tiny", "1"), "MIT", ("Contents/Resources/lib/tiny",)),
        *changes,
    ]
    subject = cyclonedx.Subject("Tiny", version, build, "com.example.tiny", "arm64", "Nobody", 1_767_225_600)
    return cyclonedx.render(subject, parts, [part.purl for part in parts])


def statements(release: Release, *, image: str = "", document: bytes = b"", kind: str = "") -> bytes:
    """Signed statements on a release; another image digest, document or build type on request."""
    digest = image or hashlib.sha256(release.image.read_bytes()).hexdigest()
    bill = document or release.sbom
    source = Resource("source", {"gitCommit": "c0ffee" * 7})
    build = Build({"version": release.version}, {}, [source], "builder", "run", None, 1_767_225_600)
    subjects = {release.name: digest, f"{release.name}.cdx.json": hashlib.sha256(bill).hexdigest()}
    origin = provenance.provenance(subjects, build)
    if kind:
        origin["predicate"]["buildDefinition"]["buildType"] = kind
    materials = provenance.bill_of_materials({release.name: digest}, bill)
    return provenance.sign([origin, materials], release.key)


def feed(releases: Sequence[Release], *, key: Ed25519PrivateKey | None = None, **changes: object) -> bytes:
    """The signed feed with these releases, newest first; `changes` are made to the newest item."""
    newest, *older = releases
    items = (replace(newest.item, **changes), *(one.item for one in older))  # type: ignore[arg-type]
    made = Feed("Tiny", link=f"{SITE}/{FEED_KEY}", items=items)
    for one in reversed(releases):
        made = history.record(made, one.identity)
    return eddsa.sign_feed(xml.render(made), key or newest.key)


def publish(store: MemoryStore, *releases: Release) -> MemoryStore:
    """Put releases, newest first, where they belong."""
    for release in reversed(releases):
        _put_release(store, release)
    newest = releases[0]
    store.put(
        f"{RELEASES}{LATEST}",
        newest.image.read_bytes(),
        content_type=IMAGE_TYPE,
        cache_control=SHORT,
        disposition=disposition(newest.name),
    )
    store.put(f"{RELEASES}notes.html", CHANGELOG, content_type=HTML, cache_control=SHORT)
    store.put(FEED_KEY, feed(releases), content_type=FEED_TYPE, cache_control=SHORT)
    return store


def _put_release(store: MemoryStore, release: Release) -> None:
    files = {
        release.name: (release.image.read_bytes(), IMAGE_TYPE),
        f"{release.name}.cdx.json": (release.sbom, cyclonedx.MEDIA_TYPE),
        f"{release.name}.intoto.jsonl": (release.statements, provenance.MEDIA_TYPE),
        f"{release.name}.html": (release.notes.data, HTML),
    }
    listed = []
    for name, (data, kind) in files.items():
        saved = disposition(name) if kind == IMAGE_TYPE else None
        key = RELEASES + name
        store.put(key, data, content_type=kind, cache_control=IMMUTABLE, disposition=saved)
        listed.append(Listed(key, len(data), hashlib.sha256(data).hexdigest(), kind))
    made = Manifest(
        release.version,
        release.build,
        "stable",
        "13.0.0",
        ("arm64",),
        eddsa.sign_file(release.image, release.key),
        tuple(listed),
        manifest.Published("Somebody", DATE.isoformat()),
    )
    data = manifest.render(made)
    store.put(
        manifest.key_of(release.version, release.build), data, content_type=JSON_TYPE, cache_control=IMMUTABLE
    )
    store.put(manifest.newest_key(release.version), data, content_type=JSON_TYPE, cache_control=SHORT)
