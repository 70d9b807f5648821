"""What whoever verifies knows beforehand. A stranger knows nothing but the address."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """`version` and `build` must be offered; None: whatever is. `app_name` is the .app's, without suffix.

    `trust` is the certificate (PEM) that must have signed, `team` the Developer ID team; None accepts any
    consistent chain. `key` must be in the newest app, `signed_by` must have signed feed, images, notes and
    statements in place of the app's own, as while one key retires (both base64). `ticket`: one must be
    stapled.
    """

    version: str | None = None
    build: str | None = None
    app_name: str | None = None
    trust: bytes | None = None
    team: str | None = None
    key: str | None = None
    signed_by: str | None = None
    ticket: bool = True
