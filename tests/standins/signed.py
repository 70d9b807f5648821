"""A small app and its disk image, really signed: a thousandth of what a release hands to the notary."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from release.image.plan import ImagePlan
from release.image.portable import build_portable
from release.image.udif.trailer import Trailer
from signing.identity import Identity, throwaway
from signing.plan import plan_app
from signing.portable import Portable
from tests.signing import machos

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"


def identity(folder: Path) -> Identity:
    """A throwaway Developer ID."""
    return throwaway(folder / "identity", name="A Rehearsal", team_id="ABCDE12345")


def signer(folder: Path, timestamp_url: str | None) -> Portable:
    """Signs at a fixed moment; with timestamps if there is somebody to ask."""
    return Portable(identity(folder), timestamp_url=timestamp_url, signing_time=MOMENT)


def app(folder: Path, timestamp_url: str | None, *, entitlements: Mapping[str, object] | None = None) -> Path:
    """A signed app of a dozen pieces of code."""
    raw, done = machos.app(folder / "raw" / "Tiny.app"), folder / "signed" / "Tiny.app"
    done.parent.mkdir(exist_ok=True)
    plan = plan_app(raw, app_entitlements=entitlements or {})
    signer(folder, timestamp_url).sign_app(plan, raw, done)
    return done


def image(folder: Path, app: Path, timestamp_url: str | None, *, name: str = "Tiny.dmg") -> Path:
    """A signed disk image with the app in it."""
    raw, done = folder / f"raw-{name}", folder / name
    background, icon = folder / "background.gif", folder / "volume.icns"
    background.write_bytes(GIF)
    icon.write_bytes(b"icns\0\0\0\x08")
    build_portable(ImagePlan("Tiny", app, background, icon, int(MOMENT.timestamp()), "UDZO"), raw)
    signer(folder, timestamp_url).sign_image(raw, done, identifier="Tiny")
    return done


def blank_image(path: Path) -> Path:
    """An unsigned disk image of zeros without a volume: enough to be signed and stapled."""
    data, plist = bytes(4096), b"<plist/>"
    trailer = Trailer(
        data_length=len(data),
        data_crc=zlib.crc32(data),
        xml_offset=len(data),
        xml_length=len(plist),
        master_crc=0,
        sectors=8,
        segment=bytes(16),
    )
    path.write_bytes(data + plist + trailer.pack())
    return path
