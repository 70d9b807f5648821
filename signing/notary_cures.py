"""What to do about what the notary finds fault with.

The messages are those of Apple's "Resolving common notarization issues" and of logs that people have
published, and the stand-in's own. A message nobody here knows has no cure: it is printed as it came.
"""

from __future__ import annotations

import re
from typing import Final

_SIGN: Final = "./invoke release --force sign"
CURES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), cure)
    for pattern, cure in (
        (
            r"is not signed with a valid Developer ID|not a Developer ID",
            "sign with a Developer ID Application certificate that has not expired (./invoke doctor)",
        ),
        (
            r"is not signed|no signature|signed ad hoc",
            f"it came in after signing, or the plan that --dry-run prints does not name it: {_SIGN}",
        ),
        (
            r"signature (of the binary )?is invalid|signature does not hold|sealed resource",
            f"it was changed after it was signed: see what writes to it, then {_SIGN}",
        ),
        (
            r"secure timestamp",
            "set signing.timestamp_url (codesign: --timestamp) and see that its server can be reached",
        ),
        (
            r"hardened runtime",
            f"it is signed without the runtime flag, perhaps by its vendor: plan it, then {_SIGN}",
        ),
        (
            r"get-task-allow",
            "that entitlement is for debugging: take it out of signing/entitlements.py",
        ),
        (
            r"SDK older than|10\.9 SDK",
            "the input was built with an SDK older than macOS 10.9: pin a newer build of it in release.toml",
        ),
        (
            r"signature algorithm|digest algorithm|too weak",
            "a digest older than SHA-256: sign it again, and see that app.minimum_system is 10.11 or later",
        ),
        (
            r"no signed executables|no tickets can be generated|no signed code",
            "the archive holds no code: look at what the image step packed",
        ),
        (
            r"could not be extracted|cannot be unpacked|malformed|Damaged",
            "the upload is damaged or of another kind: ./invoke release --force image",
        ),
        (
            r"not yet configured for notarization",
            "Apple has not cleared the team yet, or an agreement waits: the account holder signs in at "
            "https://developer.apple.com/account, or asks Apple; the files are not the cause",
        ),
    )
)


def cure_for(message: str) -> str | None:
    """Return what to do about one message of the notary; None if nobody here knows it."""
    return next((cure for pattern, cure in CURES if pattern.search(message)), None)
