"""The address that Apple's notary calls when it has judged an image; worker/notary_webhook.py answers there.

Its path holds a secret token, its query what the finalizer needs. It makes sense only in a run of GitHub
Actions: the event that the public side sends to GitHub names that run, whose artifact the finalizer takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from errors import Exit, Fault
from release.config import Config
from release.version import Version
from signing import secrets

PATH: Final = "/api/notary/webhook/"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{16,200}")


def artifact_name(version: str, build: str) -> str:
    """Return what a workflow calls the artifact with the pending release."""
    return f"pending-{version}-{build}"


def check_token(token: str, where: object) -> str:
    """Return `token` if it can be a part of a path; Fault SECRET otherwise, which does not show it."""
    if not _TOKEN.fullmatch(token):
        raise Fault(
            "the webhook's token can't stand in an address, or is short enough to be guessed",
            where=where,
            cure="16 or more letters, digits and -._~ as Python's secrets.token_urlsafe() makes them",
            status=Exit.SECRET,
        )
    return token


def address(config: Config, version: Version, token: str, environ: Mapping[str, str]) -> str | None:
    """Return the address, which is a secret; None outside a run of GitHub Actions."""
    run = environ.get("GITHUB_RUN_ID", "") if environ.get("GITHUB_ACTIONS") == "true" else ""
    if not run:
        return None
    query = {
        "version": version.version,
        "build": version.build,
        "run_id": run,
        "artifact": artifact_name(version.version, version.build),
        "dmg": config.image.name.format(version=version.version, build=version.build),
        "ref": environ.get("GITHUB_REF", ""),
    }
    filled = {name: value for name, value in query.items() if value}
    return secrets.remember(f"{config.site}{PATH}{token}?{urlencode(filled)}")
