"""What was published once and is still to be there: everything that the manifests list."""

from __future__ import annotations

from collections.abc import Mapping

from appcast.feed import Feed, Item
from release.manifest import Listed, Manifest, key_of, newest_key, parse
from release.objects import IMMUTABLE, SHORT
from release.verify.image import address
from release.verify.rows import Rows, Wrong
from release.verify.web import Web


def check(site: str, web: Web, feed: Feed, digests: Mapping[str, str], rows: Rows) -> None:
    """Check the manifests of all builds in the feed; `digests`: SHA-256 of images that came, by address."""
    seen: set[str] = set()
    newest: set[str] = set()
    older = [item for item in feed.items if item.enclosure is not None and address(item) not in digests]
    if older:
        rows.run("older images", lambda: _still_there(web, older))
    for item in feed.items:
        manifest = _manifest(site, web, item, digests.get(address(item)), rows)
        if manifest is not None:
            _objects(site, web, manifest, rows, seen)
        if item.short_version and item.short_version not in newest:
            newest.add(item.short_version)
            _newest(site, web, item, rows, seen)


def _still_there(web: Web, older: list[Item]) -> tuple[None, str]:
    """Look whether the images that nobody needs now are there, for whoever is downloading one."""
    for item in older:
        length = item.enclosure.length if item.enclosure else None
        answer = web.head(address(item)).expect(200, cache_control=IMMUTABLE)
        if answer.length != length:
            raise Wrong(
                "another length than the feed says", where=answer.url, expected=length, found=answer.length
            )
    return None, f"{len(older)} in the feed that nobody is offered, all there"


def _manifest(site: str, web: Web, item: Item, digest: str | None, rows: Rows) -> Manifest | None:
    name = f"manifest of {item.version}"
    url = f"{site}/{key_of(item.short_version or '', item.version)}"
    if web.peek(url).status == 404:
        rows.skip(name, "there is none: it was published before manifests were kept, or removed since")
        return None
    return rows.run(name, lambda: _read(web, url, IMMUTABLE, item, digest), url)


def _newest(site: str, web: Web, item: Item, rows: Rows, seen: set[str]) -> None:
    """Look at the manifest of a version's newest build, which the feed may not have any more."""
    url = f"{site}/{newest_key(item.short_version or '')}"
    if web.peek(url).status == 404:
        return
    manifest = rows.run(f"manifest of {item.short_version}", lambda: _read(web, url, SHORT, item, None), url)
    if manifest is not None:
        _objects(site, web, manifest, rows, seen)


def _read(web: Web, url: str, caching: str, item: Item, digest: str | None) -> tuple[Manifest, str]:
    answer = web.get(url).expect(200, content_type="application/json", cache_control=caching)
    manifest = parse(answer.body, url)
    if manifest.version != item.short_version:
        raise Wrong("it is of another version", expected=item.short_version, found=manifest.version)
    if digest is not None and manifest.build == item.version and manifest.image.sha256 != digest:
        raise Wrong("it lists another image", expected=f"sha256 {digest}", found=manifest.image.sha256)
    return manifest, f"{len(manifest.objects)} objects, published by {manifest.published.who}"


def _objects(site: str, web: Web, manifest: Manifest, rows: Rows, seen: set[str]) -> None:
    """Look whether all that a manifest lists is there, each object once."""
    listed = [one for one in manifest.objects if one.key not in seen]
    seen.update(one.key for one in listed)
    if listed:
        rows.run(f"objects of {manifest.build}", lambda: _there(site, web, listed), f"{site}/releases/")


def _there(site: str, web: Web, listed: list[Listed]) -> tuple[None, str]:
    for one in listed:
        answer = web.head(f"{site}/{one.key}")
        try:
            answer.expect(200, cache_control=IMMUTABLE, content_type=one.content_type)
        except Wrong as wrong:
            wrong.cure = "put the object back: what was public once stays"
            raise
        if answer.length != one.size:
            raise Wrong("another length", where=answer.url, expected=one.size, found=answer.length)
    return None, f"{len(listed)} there, unchanged in length and caching"
