"""The whole verification, from the feed to the last object that has to be there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from appcast.feed import Feed, Item, highest
from release.verification import MACS, Check, OwnTools, Tools, Verification
from release.verify import downloads, hosts, keys, manifests, pages
from release.verify import feed as feeds
from release.verify.expected import Expected
from release.verify.feed import PublicFeed
from release.verify.hosts import Offered
from release.verify.image import Inspected, Inspector, address
from release.verify.keys import Judges
from release.verify.rows import Rows
from release.verify.web import Download, Limits, Web
from release.verify_mac import Mac

if TYPE_CHECKING:
    import requests

THREADS = 4
Hosts = Literal["default", "all"]


def verify_site(
    site: str,
    *,
    session: requests.Session,
    workdir: Path,
    expected: Expected | None = None,
    hosts: Hosts = "default",
    tools: Tools | None = None,
    mac: Mac | None = None,
    limits: Limits | None = None,
    now: datetime | None = None,
    keep: bool = False,
) -> Verification:
    """Download and check what is public at `site`; `workdir` is emptied first.

    `hosts`: "default" looks into every image that some Mac is offered now, "all" into every one in the feed.
    `mac` runs macOS's own tools, on a Mac. With `keep`, downloads and unpacked apps stay in `workdir`.
    Raises Fault NETWORK if the site cannot be reached; whatever else is wrong becomes a row.
    """
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    site, expected, now = site.rstrip("/"), expected or Expected(), now or datetime.now(UTC)
    web = Web(session, limits)
    inspector = Inspector(site, web, expected, tools or OwnTools(), workdir, mac, keep)
    rows = Rows("feed")
    public = feeds.read(site, web, expected, rows)
    if public is None:
        rows.skip("everything else", "the feed cannot be used")
        return _done(site, expected.version, expected.build, rows.checks, now)
    run = _Run(site, web, expected, inspector, public, now, everything=hosts == "all")
    checks = [check for part in run.parts(rows) for check in part.checks]
    return _done(site, public.item.short_version, public.item.version, checks, now)


def _done(
    site: str, version: str | None, build: str | None, checks: Sequence[Check], now: datetime
) -> Verification:
    at = now.isoformat(timespec="seconds")
    return Verification(site, version or "", build or "", tuple(checks), at)


@dataclass(frozen=True, slots=True)
class _Run:
    site: str
    web: Web
    expected: Expected
    inspector: Inspector
    public: PublicFeed
    now: datetime
    everything: bool

    def parts(self, rows: Rows) -> Iterator[Rows]:
        """Yield the groups of rows in the order in which people read them; `rows` begins the feed's."""
        found = hosts.offers(self.public.feed, self.now)
        button, served, there = Rows("download"), Rows("serving"), Rows("what was published")
        with ThreadPoolExecutor(THREADS) as pool:
            looks = {address(item): pool.submit(self.inspector.inspect, item) for item in self._wanted(found)}
            image = self._image(looks, self.public.everybody)
            pressed = pool.submit(downloads.check_button, self.site, self.web, self.public, image, button)
            inspected = {url: look.result() for url, look in looks.items()}
            pressed.result()
        judges = Judges(self.public.feed, self.expected, inspected)
        self._feed(judges, rows)
        yield rows
        yield from self._images(judges)
        macs = Rows(MACS)
        hosts.check(found, self.public.feed, inspected, macs)
        yield macs
        yield self._pages(judges)
        yield button
        downloads.check_serving(self.site, self.web, self._image(looks, self.public.item)(), served)
        yield served
        digests = {url: one.download.sha256 for url, one in inspected.items() if one.download}
        manifests.check(self.site, self.web, self.public.feed, digests, there)
        yield there

    def _wanted(self, found: Iterable[Offered]) -> list[Item]:
        """Return what to look into, each once: what is offered, and what it takes to judge that."""
        feed: Feed = self.public.feed
        wanted = [self.public.item, highest(feed), self.public.everybody]
        wanted += feed.items if self.everything else [one.item for one in found]
        items = [item for item in wanted if item is not None and item.enclosure is not None]
        items += [before for item in items if (before := keys.predecessor(feed, item)) is not None]
        return list({address(item): item for item in items}.values())

    def _image(self, looks: dict[str, Future[Inspected]], item: Item | None) -> Callable[[], Download | None]:
        """Return what waits for the download of an item's image."""
        return lambda: looks[address(item)].result().download if item and address(item) in looks else None

    def _feed(self, judges: Judges, rows: Rows) -> None:
        seen = judges.inspected.get(address(self.public.item))
        feeds.check_sound(self.public, seen.app if seen else None, self.now, rows)
        keys.check_feed(judges, self.public, rows)
        keys.check_app_key(judges, self.public, rows)

    def _images(self, judges: Judges) -> Iterator[Rows]:
        for seen in judges.inspected.values():
            keys.check_image(judges, seen)
            if self.inspector.mac is None:
                seen.rows.skip("Gatekeeper", "it takes a Mac and Apple's own notarization")
            seen.rows.checks += seen.mac
            yield seen.rows

    def _pages(self, judges: Judges) -> Rows:
        rows = Rows("notes")
        for seen in judges.inspected.values():
            pages.check_notes(self.site, self.web, seen.item, judges.keys(seen.item), rows)
        pages.check_changelog(self.site, self.web, self.public.feed, rows)
        return rows
