"""Whether a newer version is announced in the app's feed.

The packaged app leaves this to Sparkle. Elsewhere the project's own reader of feeds, `appcast`, decides as
Sparkle would; the packaged app does not have it, nor the libraries that it stands on.
"""

from __future__ import annotations

import platform
import plistlib
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from app.errors import AppError
from app.settings import Settings
from app.version import version

MAX_FEED = 8 * 1024 * 1024
TIMEOUT = 10.0
LATEST_MACOS = "26.0"  # what another system counts as: it asks what there is, not what it could install
FROM_SOURCE_BUILD = "0"


@dataclass(frozen=True, slots=True)
class Source:
    """Where updates are announced. `build` is the CFBundleVersion that runs; `key` is base64, or unknown."""

    feed: str
    key: str | None
    build: str


@dataclass(frozen=True, slots=True)
class Update:
    """What the feed says. `version` and `url` are of a newer release, if there is one.

    "unknown": no feed is known; "elsewhere": Sparkle looks after it. `signed` tells that the feed's signature
    was checked.
    """

    state: Literal["current", "newer", "unknown", "elsewhere"]
    said: str
    version: str | None = None
    url: str | None = None
    signed: bool = False


Fetch = Callable[[str], bytes]


def source(settings: Settings) -> Source | None:
    """Find the feed: the environment's, or the one that the bundle names."""
    info = _info(settings)
    feed = settings.feed or info.get("SUFeedURL")
    if not feed:
        return None
    key = settings.feed_key or (None if settings.feed else info.get("SUPublicEDKey"))
    return Source(str(feed), key, str(info.get("CFBundleVersion", FROM_SOURCE_BUILD)))


def look(settings: Settings, *, channel: str = "stable", fetch: Fetch | None = None) -> Update:
    """Ask the feed for a newer version. Raises AppError if it cannot be had, read or trusted."""
    where = source(settings)
    if where is None:
        return Update("unknown", "no feed of updates is known; API_FOR_CURSOR_FEED names one")
    try:
        from appcast import client, xml
        from appcast.feed import FeedFault
        from signing import eddsa
    except ImportError:
        return Update("elsewhere", "updates come through the app's menu: Check for Updates…")
    data = (fetch or download)(where.feed)
    try:
        content = data if where.key is None else eddsa.verify_feed(data, where.key)
        feed = xml.parse(content, where.feed, limit=MAX_FEED)
        offered = client.select(feed, _host(client.Host, where.build, channel), datetime.now(UTC)).item
    except (FeedFault, eddsa.FeedSignatureFault, eddsa.KeyFault) as fault:
        raise AppError(f"the feed at {where.feed} is not used: {fault}") from fault
    signed = where.key is not None
    if offered is None:
        return Update("current", f"{version()} is the newest version", signed=signed)
    name = offered.short_version or offered.version
    link = offered.link or (offered.enclosure.url if offered.enclosure else None)
    return Update("newer", f"{name} is there; this is {version()}", name, link, signed)


def download(url: str) -> bytes:
    """Fetch a feed: over https, or from this machine. Raises AppError."""
    _make_sure_it_is_safe(url)
    opener = urllib.request.build_opener(_SafeRedirects, urllib.request.HTTPSHandler(context=_trust()))
    request = urllib.request.Request(url, headers={"user-agent": f"API-for-Cursor/{version()}"})
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(MAX_FEED + 1)
    except (OSError, ValueError) as error:  # URLError and TimeoutError are ones
        reason = getattr(error, "reason", None) or error
        raise AppError(f"the feed at {url} cannot be fetched: {reason}", cure="try again later") from error
    if len(data) > MAX_FEED:
        raise AppError(f"the feed at {url} is longer than {MAX_FEED // 1024 // 1024} MB")
    return data


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that are as safe as the first address has to be."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _make_sure_it_is_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _make_sure_it_is_safe(url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not local:
        raise AppError(f"the feed at {url} is not used", cure="give an address that begins with https://")


def _trust() -> ssl.SSLContext:
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _host(make: Callable[..., Any], build: str, channel: str) -> Any:
    """Describe this machine as the feed's reader wants it; another system takes the place of a recent Mac."""
    mac = sys.platform == "darwin"
    return make(
        version=build,
        system_version=platform.mac_ver()[0] if mac else LATEST_MACOS,
        architecture="x86_64" if mac and platform.machine() == "x86_64" else "arm64",
        channels=frozenset() if channel == "stable" else frozenset({channel}),
        user_initiated=True,
    )


def _info(settings: Settings) -> dict[str, Any]:
    if settings.resource_dir is None:
        return {}
    try:
        found: dict[str, Any] = plistlib.loads((settings.resource_dir.parent / "Info.plist").read_bytes())
    except (OSError, ValueError, plistlib.InvalidFileException):
        return {}
    return found
