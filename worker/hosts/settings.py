"""The site's settings by name; the environment over a `.dev.vars` file, as wrangler reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAMES: Final[Mapping[str, str]] = {
    "PUBLIC_URL": "the site's own address, where old hosts lead to",
    "LATEST_IMAGE": "the image that /download leads to, if not API-for-Cursor-latest.dmg",
    "ENCRYPTION_KEY": "encrypts the Cursor keys of the hosted API: 64 hex digits, or a long text",
    "NOTARY_WEBHOOK_TOKEN": "the last part of the address that Apple's notary calls",
    "GITHUB_RELEASE_DISPATCH_TOKEN": "lets the webhook start the finalizer on GitHub",
    "GITHUB_REPOSITORY": "owner/name of the repository with the finalizer",
    "GITHUB_API_URL": "GitHub's API, if not the public one",
    "WAITLIST_URL": "takes {name, email, source} for early access",
    "WAITLIST_API_TOKEN": "the waiting list's token",
    "HOSTED_API_ENABLED": "1 switches the hosted API on",
    "HOSTED_REQUESTS_A_MINUTE": "how many requests a key may make in a minute (60)",
    "HOSTED_LOG_DAYS": "how many days the hosted API's log keeps a request (90)",
    "CURSOR_API_BASE": "Cursor's API, if not the public one",
    "CURSOR_SDK_BRIDGE_URL": "the bridge to Cursor's SDK",
    "CURSOR_SDK_BRIDGE_TOKEN": "the bridge's token",
    "CURSOR_SDK_BRIDGE_TIMEOUT_MS": "how long the bridge may be silent (180000)",
    "TRUST_CF_CONNECTING_IP": "1 if Cloudflare stands before this host",
}
SECRET: Final = (
    "ENCRYPTION_KEY",
    "NOTARY_WEBHOOK_TOKEN",
    "GITHUB_RELEASE_DISPATCH_TOKEN",
    "WAITLIST_API_TOKEN",
    "CURSOR_SDK_BRIDGE_TOKEN",
)
PATIENCE: Final = 180_000  # ms
_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*")


def load(environ: Mapping[str, str], dev_vars: Path | None = None) -> dict[str, str]:
    """Give the settings that are set; an empty one is not."""
    found = read(dev_vars) if dev_vars and dev_vars.is_file() else {}
    found |= {name: environ[name] for name in NAMES if name in environ}
    return {name: value for name, value in found.items() if value}


def patience(settings: Mapping[str, str]) -> int:
    """Give how many milliseconds the bridge may be silent."""
    return number(settings, "CURSOR_SDK_BRIDGE_TIMEOUT_MS", PATIENCE)


def number(settings: Mapping[str, str], name: str, usual: int) -> int:
    """Give a setting that is a whole number; what is none is as if it were not set."""
    setting = settings.get(name, "")
    return int(setting) if setting.isdecimal() and len(setting) < 10 else usual


def read(path: Path) -> dict[str, str]:
    """Read a file of NAME=value lines; values may stand in quotes, lines that begin with # are comments."""
    found = {}
    for line in path.read_text("utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match and not line.lstrip().startswith("#"):
            found[match[1]] = _unquoted(match[2])
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()
