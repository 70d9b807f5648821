"""The feed: how it is served, what it offers, whether it is sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from appcast import xml
from appcast.feed import Feed, Item, find, highest
from appcast.lint import AppFacts, lint
from errors import Exit, Fault
from release.objects import FEED_KEY, FEED_TYPE, SHORT, for_everybody
from release.verify.expected import Expected
from release.verify.rows import Rows, Wrong
from release.verify.web import Answer, Web

KEPT_IN_HEAD = ("content-type", "content-length", "cache-control", "etag", "content-disposition")


@dataclass(frozen=True, slots=True)
class PublicFeed:
    """The feed as it is public. `item` is the release in question, `everybody` the download button's."""

    url: str
    data: bytes
    feed: Feed
    item: Item
    everybody: Item | None


def read(site: str, web: Web, expected: Expected, rows: Rows) -> PublicFeed | None:
    """Fetch and read the feed. Raises Fault NETWORK if the site cannot be reached."""
    url = f"{site}/{FEED_KEY}"
    answer = reach(web, url)
    served = rows.run("feed", lambda: _served(answer), url)
    rows.run("feed caching", lambda: served_again(web, answer, SHORT), url)
    if served is None:
        return None
    return rows.run("feed offers it", lambda: _offered(url, answer.body, expected), url)


def reach(web: Web, url: str) -> Answer:
    """Fetch the first page of all. Raises Fault NETWORK if there is no answer."""
    import requests

    try:
        return web.get(url)
    except (requests.RequestException, Wrong) as error:
        raise Fault(
            f"the site cannot be reached: {error}",
            where=url,
            cure="check the address, the network and the site, and run it again",
            status=Exit.NETWORK,
        ) from error


def served_again(web: Web, answer: Answer, caching: str) -> tuple[None, str]:
    """Check caching: Cache-Control, an ETag that saves a second answer, HEAD like GET."""
    answer.expect(200, cache_control=caching)
    etag = answer.headers.get("etag")
    if not etag:
        raise Wrong("there is no ETag", where=answer.url)
    web.peek(answer.url, if_none_match=etag).expect(304)
    head = web.head(answer.url).expect(200)
    for name in KEPT_IN_HEAD:
        if head.headers.get(name) != answer.headers.get(name):
            raise Wrong(
                f"HEAD and GET differ in {name}",
                where=answer.url,
                expected=answer.headers.get(name, "none"),
                found=head.headers.get(name, "none"),
            )
    return None, caching


def check_sound(public: PublicFeed, app: AppFacts | None, now: datetime, rows: Rows) -> None:
    """Lint the feed as `app`, the one in its release, would find it. Its signature has a row of its own."""
    if app is None:
        rows.skip("feed lint", "no app is known that would read it")
        return

    def check() -> tuple[None, str]:
        judge = replace(app, public_key="")
        findings = lint(public.data, base_url=public.url, app=judge, now=now)
        errors = [one for one in findings if one.severity == "error"]
        if errors:
            first, more = errors[0], len(errors) - 1
            what = f"{first.what} ({first.id}, line {first.line})" + (f" and {more} more" if more else "")
            raise Wrong(what, where=public.url, cure=first.cure)
        return None, f"{len(public.feed.items)} items, {len(findings)} remarks, no error"

    rows.run("feed lint", check, public.url)


def _served(answer: Answer) -> tuple[Answer, str]:
    answer.expect(200, content_type=FEED_TYPE)
    if answer.length is not None and answer.length != len(answer.body):
        raise Wrong("Content-Length is not what came", expected=answer.length, found=len(answer.body))
    return answer, f"{len(answer.body)} bytes"


def _offered(url: str, data: bytes, expected: Expected) -> tuple[PublicFeed, str]:
    feed = xml.parse(data, base_url=url)
    everybody = for_everybody(feed)
    item = find(feed, expected.build) if expected.build else everybody or highest(feed)
    if item is None or item.enclosure is None:
        raise Wrong(f"build {expected.build} is not in the feed" if expected.build else "nothing is offered")
    if expected.version not in (None, item.short_version):
        raise Wrong(f"build {item.version} is called {item.short_version}, not {expected.version}")
    best = highest(feed, lambda other: other.channel == item.channel)
    if best is not item and best is not None:
        raise Wrong(f"users are offered {best.version} instead")
    public = PublicFeed(url, data, feed, item, everybody)
    return public, f"{item.short_version} ({item.version}), first of {len(feed.items)}"
