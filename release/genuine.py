"""What production publishes is production's own: nothing that a rehearsal has made or marked gets in.

Each mark is looked for in the things themselves, whatever the journal says of them: an image or an app copied
from a rehearsal's folder looks like a finished step's result.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from errors import Exit, Fault
from release.config import Config, is_loopback

if TYPE_CHECKING:
    from signing.verify import Report

MARK = ".rehearsal"


def require(config: Config, app: Path, image: Report) -> None:
    """Raise Fault, status AUDIT, naming all that is not production's in app and image.

    `image` is the verification of the stapled image.
    """
    if config.rehearsal:
        return
    wrong = (*_signer(image), *_app(config, app))
    if wrong:
        raise Fault(
            "a rehearsal's work can't be published",
            where=app.parent,
            details=wrong,
            cure="remove this folder and run ./invoke release --profile production again",
            status=Exit.AUDIT,
        )


def _signer(image: Report) -> Iterator[str]:
    from cryptography import x509

    from signing import certificate

    try:
        certificate.require_real(x509.load_der_x509_certificate(image.certificates[0]))
    except (IndexError, certificate.BadIdentity) as error:
        yield f"image: {error.what if isinstance(error, Fault) else 'nobody has signed it'}"


def _app(config: Config, app: Path) -> Iterator[str]:
    info = plistlib.loads((app / "Contents" / "Info.plist").read_bytes())
    identifier, feed = str(info.get("CFBundleIdentifier")), str(info.get("SUFeedURL"))
    if identifier != config.bundle_id:
        yield f"app: its identifier is {identifier}, not {config.bundle_id}"
    if feed != config.feed_url or is_loopback(feed):
        yield f"app: it looks for updates at {feed}, not {config.feed_url}"
    for path in sorted(app.rglob("Info.plist")):
        inner = _identifier(path)
        if inner.endswith(MARK) and inner != identifier:
            yield f"{path.relative_to(app)}: its identifier is {inner}"


def _identifier(path: Path) -> str:
    match = re.search(rb"<key>CFBundleIdentifier</key>\s*<string>([^<]*)", path.read_bytes())
    return match[1].decode("utf-8", "replace") if match else ""
