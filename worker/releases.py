"""`/download`, `/appcast.xml`, `/releases/…`: what the release tool put into the bucket, over HTTP.

Decided here, sent by the host: the answer to a request is a value that names a slice of an object.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, quote

from worker import feed
from worker.paths import FEED, RELEASES, BadPath, key_of, page_of
from worker.ports import Object, ObjectStore
from worker.ranges import (
    Slice,
    http_date,
    not_modified,
    precondition_failed,
    range_applies,
    requested,
)
from worker.replies import CORS, PREFLIGHT, Reply, bad_path, not_allowed, not_found, problem

LATEST: Final = "API-for-Cursor-latest.dmg"
SHORT: Final = "public, max-age=60, stale-while-revalidate=300"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
ALLOW: Final = "GET, HEAD, OPTIONS"
TYPES: Final = {
    ".dmg": "application/x-apple-diskimage",
    ".xml": "application/rss+xml; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
}
# A page that came out of a bucket may be shown; it may do nothing.
PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https:; sandbox"


def is_mine(raw_path: bytes) -> bool:
    """Whether a path is answered here; a version's page is none of the bucket's objects."""
    if raw_path.startswith(b"/releases/"):
        return page_of(raw_path) is None
    return raw_path in (b"/download", b"/appcast.xml")


async def answer(
    store: ObjectStore,
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Mapping[str, str],
    latest: str = LATEST,
) -> Reply:
    """Answer a request; header names in `headers` are in lower case, `latest` is where `/download` leads.

    Raises Unavailable as the store does.
    """
    if method == "OPTIONS":
        return Reply(204, {**PREFLIGHT, "allow": ALLOW})
    if method not in ("GET", "HEAD"):
        return not_allowed(ALLOW)
    if raw_path == b"/download":
        return await _download(store, query, latest)
    try:
        key = key_of(raw_path)
    except BadPath:
        return bad_path()
    found = await store.head(key) if key else None
    return not_found() if found is None else _object(found, headers)


async def _download(store: ObjectStore, query: bytes, latest: str) -> Reply:
    """Lead to `latest`, or with `?arch=` or `?channel=` to the newest image of the feed that fits."""
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    arch, channel = (asked.get(name, [""])[-1] for name in ("arch", "channel"))
    if arch and arch not in feed.ARCHITECTURES:
        names = " or ".join(feed.ARCHITECTURES)
        return problem(400, f"arch is {names}", "invalid_request_error", param="arch")
    if not arch and channel in ("", feed.STABLE):
        return _redirect(f"/{RELEASES}{latest}")
    public = await feed.read(store)
    item = feed.newest(public, arch or None, channel) if public else None
    if item is None:
        return problem(404, "There is no release for this choice", "not_found")
    return _redirect(item.path)


def _redirect(path: str) -> Reply:
    location = quote(path, safe="/%:@!$&'()*+,;=~-._")
    return Reply(302, {**CORS, "location": location, "cache-control": "no-cache"})


def _object(found: Object, headers: Mapping[str, str]) -> Reply:
    described = dict(_headers(found))
    if precondition_failed(headers, found):
        return problem(412, "This is another version by now", "precondition_failed", etag=found.etag)
    if not_modified(headers, found):
        kept = ("etag", "cache-control", "last-modified", *CORS)
        return Reply(304, {name: described[name] for name in kept if name in described})
    wanted = requested(headers.get("range"), found.size) if range_applies(headers, found) else None
    if wanted == "refused":
        unit = f"bytes */{found.size}"
        return problem(416, "Only one range within the file is sent", "invalid_range", content_range=unit)
    if wanted is None:
        return Reply(200, described, found=found, part=Slice(0, found.size))
    described["content-range"] = f"bytes {wanted.start}-{wanted.end - 1}/{found.size}"
    return Reply(206, described, found=found, part=wanted)


@functools.lru_cache(maxsize=256)
def _headers(found: Object) -> Mapping[str, str]:
    """The object's own headers where the bucket keeps them, else what belongs to such a name."""
    name = found.key.rpartition("/")[2]
    suffix = "." + name.rpartition(".")[2]
    headers = {
        **CORS,
        "content-type": found.content_type or TYPES.get(suffix, "application/octet-stream"),
        "cache-control": found.cache_control or default_caching(found.key),
        "etag": found.etag,
        "last-modified": http_date(found.modified),
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
    }
    if suffix == ".dmg":
        headers["content-disposition"] = (
            found.disposition or f'attachment; filename="{name.replace(chr(34), "")}"'
        )
    if suffix == ".html":
        headers["content-security-policy"] = PAGE_POLICY
    return headers


def default_caching(key: str) -> str:
    """The feed, `latest` and pages that are replaced may be a minute old; what is versioned never changes."""
    replaced = key == FEED or key.endswith(("-latest.dmg", "/manifest.json", "/notes.html"))
    return SHORT if replaced else IMMUTABLE
