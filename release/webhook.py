"""The address that Apple's notary calls when it has judged an image; worker/notary_webhook.py answers there.

Its path holds a secret token, its query what the finalizer needs. It makes sense only in a run of GitHub
Actions: the event that the public side sends to GitHub names that run, whose artifact the finalizer takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from release.config import Config
from release.version import Version
from signing import secrets

PATH: Final = "/api/notary/webhook/"


def artifact_name(version: str, build: str) -> str:
    """Return what a workflow calls the artifact with the pending release."""
    return f"pending-{version}-{build}"


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
    return secrets.remember(f"{config.site}{PATH}{quote(token, safe='')}?{urlencode(filled)}")
