"""Look into what a feed points to: every archive's bytes, and in disk images the app itself."""

from __future__ import annotations

import functools
import plistlib
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from appcast.feed import Enclosure, Feed, Item
from appcast.lint import AppFacts, Finding, finding
from appcast.versions import compare
from errors import Fault
from release.feed import app_facts
from release.verification import OwnTools, Tools
from signing import eddsa

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 120)
PIECE = 1 << 20
MAX_ARCHIVE = 4 << 30
SLACK = 16 << 20

Advance = Callable[[int, int], None]
_Found = Generator[tuple[str, str], None, AppFacts | None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look into all files gave: what is wrong, what the newest app says, how much was looked at."""

    findings: tuple[Finding, ...]
    app: AppFacts | None
    files: int
    size: int


def check(
    feed: Feed,
    session: requests.Session,
    *,
    base_url: str | None = None,
    app: AppFacts | None = None,
    tools: Tools | None = None,
    on_progress: Advance | None = None,
) -> Checked:
    """Download every archive and delta and hold it against the feed, oldest first.

    `app`: whose key must have signed. If it is not given, the key of the app in the image itself or in the
    image before must have: Sparkle takes a new key for as long as the certificate stays, and the old one
    always. One file at a time is on the disk, in a temporary folder. `on_progress` gets bytes done and the
    sum of the lengths that the feed states.
    """
    run = _Run(session, base_url, app, tools or OwnTools(), _Progress(feed, on_progress))
    findings: list[Finding] = []
    for item in sorted(feed.items, key=functools.cmp_to_key(_compare)):
        findings += run.item(item)
    return Checked(tuple(findings), run.newest, run.files, run.progress.done)


class _Progress:
    def __init__(self, feed: Feed, advance: Advance | None) -> None:
        enclosures = [item.enclosure for item in feed.items]
        enclosures += [delta.enclosure for item in feed.items for delta in item.deltas]
        self.total = sum(each.length or 0 for each in enclosures if each is not None)
        self.done = 0
        self._advance = advance

    def __call__(self, size: int) -> None:
        self.done += size
        if self._advance is not None:
            self._advance(self.done, max(self.total, self.done))


class _Failed(Exception):
    """Why a file could not be had, and the rule that it breaks."""

    def __init__(self, what: str, rule: str = "download-failed") -> None:
        super().__init__(what)
        self.rule = rule


class _Run:
    """One look at a feed. `newest` is the app in the last disk image that could be read."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str | None,
        app: AppFacts | None,
        tools: Tools,
        progress: _Progress,
    ) -> None:
        self.newest: AppFacts | None = None
        self.files = 0
        self.progress = progress
        self._app = app
        self._session = session
        self._base_url = base_url
        self._tools = tools

    def item(self, item: Item) -> Iterator[Finding]:
        """Yield what is wrong with the files of one item."""
        with tempfile.TemporaryDirectory(prefix="appcast-") as folder:
            if item.enclosure is not None:
                for rule, detail in self._archive(item, item.enclosure, Path(folder)):
                    yield finding(rule, item.line, detail, item=item.version)
            for delta in item.deltas:
                for rule, detail in self._delta(delta.enclosure, Path(folder)):
                    detail = f"delta from {delta.from_version}{': ' * bool(detail)}{detail}"
                    yield finding(rule, item.line, detail, item=item.version)

    def _archive(self, item: Item, enclosure: Enclosure, folder: Path) -> Iterator[tuple[str, str]]:
        path = folder / "archive"
        try:
            self._download(enclosure, path)
        except _Failed as failed:
            yield failed.rule, str(failed)
            return
        inside: AppFacts | None = None
        if _is_image(path):
            inside = yield from self._image(path, folder / "volume", item)
        else:
            name = Path(enclosure.url.partition("?")[0]).name
            yield (
                ("download-image", "it does not end as one")
                if name.endswith(".dmg")
                else ("download-skipped", name)
            )
        keys = self._keys(inside)
        self.newest = inside or self.newest
        yield from self._bytes(enclosure, path, keys)

    def _delta(self, enclosure: Enclosure, folder: Path) -> Iterator[tuple[str, str]]:
        path = folder / "delta"
        try:
            self._download(enclosure, path)
        except _Failed as failed:
            yield failed.rule, str(failed)
            return
        yield from self._bytes(enclosure, path, self._keys(None))

    def _keys(self, inside: AppFacts | None) -> list[str]:
        """Return the public keys that may have signed."""
        apps = [self._app] if self._app is not None else [inside, self.newest]
        return list(dict.fromkeys(app.public_key for app in apps if app is not None and app.public_key))

    def _bytes(self, enclosure: Enclosure, path: Path, keys: list[str]) -> Iterator[tuple[str, str]]:
        size = path.stat().st_size
        if size != enclosure.length:
            yield "download-length", f"{size} bytes, the feed says {enclosure.length or 'nothing'}"
        if not keys:
            yield "download-key", "no app is known whose key could judge the file"
            return
        try:
            if not any(eddsa.verify_file(path, enclosure.signature or "", key) for key in keys):
                yield "download-signature", " nor ".join(f"key {key[:12]}…" for key in keys)
        except eddsa.KeyFault as fault:
            yield "download-key", fault.what

    def _image(self, path: Path, volume: Path, item: Item) -> _Found:
        """Yield what is wrong with a disk image; return what the app in it says, if it can be read."""
        yield from _signature("the image", lambda: self._tools.verify_image(path, None).require())
        try:
            with self._tools.open_image(path) as disk:
                for problem in disk.checksums()[:5]:
                    yield "download-image", problem
                disk.extract(volume)
        except Fault as fault:
            yield "download-image", fault.what
            return None
        apps = sorted(volume.glob("*.app"))
        if len(apps) != 1:
            yield "download-version", f"there are {len(apps)} apps in the image"
            return None
        yield from _signature("the app", lambda: self._tools.verify_app(apps[0], None).require())
        return (yield from _app(apps[0], item))

    def _download(self, enclosure: Enclosure, path: Path) -> None:
        import requests

        url = urljoin(self._base_url or "", enclosure.url)
        limit = min(2 * enclosure.length + SLACK if enclosure.length else MAX_ARCHIVE, MAX_ARCHIVE)
        try:
            with closing(self._session.get(url, stream=True, timeout=TIMEOUT)) as response:
                if response.status_code != 200:
                    raise _Failed(f"{url} answers {response.status_code}")
                self._write(response.iter_content(PIECE), path, limit)
        except (requests.RequestException, ValueError) as error:
            raise _Failed(f"{url}: {type(error).__name__}") from error
        self.files += 1

    def _write(self, pieces: Iterator[bytes], path: Path, limit: int) -> None:
        """Write a file, but give up on one that does not end long after it should have."""
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                self.progress(len(piece))
                if file.tell() > limit:
                    raise _Failed(f"more than {limit:,} bytes, and no end to it", "download-length")


def _app(app: Path, item: Item) -> _Found:
    try:
        inside = app_facts(app)
    except (Fault, plistlib.InvalidFileException, ValueError, OSError) as error:
        yield "download-version", f"{app.name} cannot be read: {error}"
        return None
    if inside.version != item.version:
        yield "download-version", f"{inside.version or 'none'}, the item says {item.version}"
    return inside


def _signature(what: str, verify: Callable[[], Any]) -> Iterator[tuple[str, str]]:
    try:
        verify()
    except Fault as fault:
        yield "download-codesign", f"{what}: {'; '.join((fault.what, *fault.details[:3]))}"


def _is_image(path: Path) -> bool:
    """Tell whether a file ends as UDIF images do, whatever it is called."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 512))
        return file.read(4) == b"koly"


def _compare(one: Item, other: Item) -> int:
    return compare(one.version, other.version)
