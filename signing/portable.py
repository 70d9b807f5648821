"""Sign anywhere, with apple-platform-py: Python around the Rust crate apple-codesign."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import apple_platform
from apple_platform.errors import ApplePlatformError, TimestampError

from errors import Exit, Fault
from signing import bundle as bundles
from signing import macho, superblob
from signing.entitlements import to_plist
from signing.identity import Identity
from signing.plan import Item, Plan
from signing.staging import staged

NO_TIMESTAMP = "none"  # the engine takes Apple's server if it is told nothing


class SigningFailed(Fault):
    """The engine could not sign."""

    status = Exit.SIGN


class Portable:
    """Signs with a key in a file.

    `timestamp_url` is an RFC 3161 server, None for no timestamps. `signing_time` fixes the time in every
    signature: the same input then gives the same bytes, but for timestamps.
    """

    def __init__(
        self, identity: Identity, *, timestamp_url: str | None, signing_time: datetime | None
    ) -> None:
        self._identity = identity
        self._timestamp_url = timestamp_url or NO_TIMESTAMP
        self._signing_time = signing_time

    def sign_app(self, plan: Plan, src: Path, dst: Path) -> None:
        """See Signer. Empty folders are not carried over."""
        with tempfile.TemporaryDirectory(prefix="signing-") as scratch:
            paths = settings(plan, src, Path(scratch))
            with staged(dst) as fresh:
                self._sign(src, fresh, paths=paths)

    def sign_image(self, src: Path, dst: Path, *, identifier: str) -> None:
        """See Signer."""
        with staged(dst) as fresh:
            self._sign(src, fresh, binary_identifier=identifier)

    def _sign(self, src: Path, dst: Path, **options: Any) -> None:
        key = apple_platform.PemKey(files=[self._identity.key_file, *self._identity.chain_files])
        try:
            apple_platform.sign(
                src,
                dst,
                signer=apple_platform.Signer(pem=key),
                team_name=self._identity.team_id,
                timestamp_url=self._timestamp_url,
                signing_time=self._signing_time,
                **options,
            )
        except ApplePlatformError as error:
            raise _failed(src, error, self._timestamp_url) from error


def settings(plan: Plan, src: Path, scratch: Path) -> Mapping[str, Any]:
    """The engine's settings by scope. Nothing is inherited there, so that every item has a scope of its own.

    Entitlements go through files in `scratch`, one for each different set.
    """
    files: dict[bytes, Path] = {}

    def file(data: bytes) -> Path:
        if data not in files:
            files[data] = scratch / f"{len(files)}.entitlements"
            files[data].write_bytes(data)
        return files[data]

    return {
        _scope(item, src): apple_platform.PathSettings(
            binary_identifier=item.identifier,
            code_signature_flags=list(item.flags),
            entitlements_xml_file=file(to_plist(item.entitlements))
            if _sets_entitlements(item, src)
            else None,
        )
        for item in plan.items
    }


def _scope(item: Item, src: Path) -> str:
    """Return the engine's name for the item. A framework's settings are only found under its version."""
    if item.kind == "bundle" and item.path.endswith(".framework"):
        return f"{item.path}/Versions/{bundles.current_version(src / item.path)}"
    return item.path or "@main"


def _sets_entitlements(item: Item, src: Path) -> bool:
    """Whether to hand the engine an entitlements file.

    Left without one, it keeps what a vendor's signature grants: an empty file takes that away. Where there
    is nothing to take away, no file leaves the signature without an entitlements part, as codesign would.
    """
    return bool(item.entitlements) or _has_entitlements(_executable(item, src))


def _executable(item: Item, src: Path) -> Path:
    if item.kind == "macho":
        return src / item.path
    bundle = bundles.load(src / item.path)
    return bundle.executable or bundle.root


def _has_entitlements(path: Path) -> bool:
    return any(
        superblob.SLOT_ENTITLEMENTS in superblob.parse(part.data[place[0] : sum(place)]).blobs
        for part in macho.read(path)
        if (place := part.signature())
    )


def _failed(src: Path, error: ApplePlatformError, timestamp_url: str) -> Fault:
    details = tuple(str(line) for line in error.source if line and str(line) not in error.message)
    if isinstance(error, TimestampError) or "time-stamp" in error.message.lower():
        cure = f"check that the timestamp server at {timestamp_url} can be reached, then sign again"
    else:
        cure = "nothing was changed; correct what it names and sign again"
    return SigningFailed(f"signing failed: {error.message}", where=src, cure=cure, details=details)
