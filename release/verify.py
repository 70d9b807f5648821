"""Verify a published release as a user's Mac would meet it: everything over HTTP, nothing taken on trust.

The feed and both downloads are fetched again; the keys come from the app inside the downloaded image, which
is what an installed copy will judge the next update by. Every check is a row of the result; a check that had
to be left out says why.
"""

from __future__ import annotations

import hashlib
import plistlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from appcast import xml
from appcast.feed import Feed, FeedFault, Item, find, highest
from commands import Runner
from errors import Exit, Fault
from release import verify_mac
from release.objects import FEED_TYPE, IMAGE_TYPE, IMMUTABLE, SHORT
from release.verification import Check, OwnTools, Report, Tools, Verification
from signing import eddsa

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 120)
MAX_FEED = 64 * 1024 * 1024
PIECE = 1024

_T = TypeVar("_T")


def verify_public(
    site: str,
    *,
    session: requests.Session,
    workdir: Path,
    app_name: str,
    version: str,
    build: str,
    trust_pem: bytes | None,
    require_ticket: bool,
    signed_by: str | None = None,
    tools: Tools | None = None,
    mac: Runner | None = None,
) -> Verification:
    """Download and check a release; `workdir` is emptied first and left with what was downloaded.

    `trust_pem`: the certificate that must have signed; None accepts any consistent chain. `signed_by`: the
    key of image and feed if not the app's own, as while one retires. `mac` runs macOS's own tools, on a Mac.
    Raises Fault NETWORK if the site cannot be reached; whatever else is wrong becomes a row.
    """
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    target = _Target(site.rstrip("/"), app_name, version, build, trust_pem, require_ticket, signed_by)
    rows = _Rows()
    public = _Public(target, session, rows)
    feed = public.feed()
    image = public.image(feed, workdir)
    app = _Inside(target, tools or OwnTools(), rows).check(feed, image, workdir / "volume")
    if mac is None:
        rows.skip("Gatekeeper", "it takes a Mac and Apple's own notarization")
    elif image is not None:
        rows.rows.extend(verify_mac.ask(image.path, app, runner=mac))
    return Verification(target.site, version, build, tuple(rows.rows))


@dataclass(frozen=True, slots=True)
class _Target:
    site: str
    app_name: str
    version: str
    build: str
    trust: bytes | None
    require_ticket: bool
    signed_by: str | None


@dataclass(frozen=True, slots=True)
class _Feed:
    data: bytes
    feed: Feed
    item: Item


@dataclass(frozen=True, slots=True)
class _Download:
    path: Path
    size: int
    sha256: str


class _Wrong(Exception):
    """A check's finding; its text is the row's detail."""


@dataclass(slots=True)
class _Rows:
    rows: list[Check] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], tuple[_T, str]]) -> _T | None:
        """Run one check: its value and detail, or None and a failed row."""
        import requests

        try:
            value, detail = check()
        except _Wrong as wrong:
            self.rows.append(Check(name, False, str(wrong)))
        except Fault as fault:
            self.rows.append(Check(name, False, "; ".join((fault.what, *fault.details[:5]))))
        except requests.RequestException as error:
            self.rows.append(Check(name, False, f"the download failed: {error}"))
        except OSError as error:
            self.rows.append(Check(name, False, f"{error.strerror}: {error.filename}"))
        else:
            self.rows.append(Check(name, True, detail))
            return value
        return None

    def skip(self, name: str, why: str) -> None:
        self.rows.append(Check(name, None, f"not checked: {why}"))


class _Public:
    """What can be seen from outside: addresses, headers, bytes."""

    def __init__(self, target: _Target, session: requests.Session, rows: _Rows) -> None:
        self._target = target
        self._session = session
        self._rows = rows

    def feed(self) -> _Feed | None:
        """Fetch and read the feed and find the release in it."""
        url = f"{self._target.site}/appcast.xml"
        response = _reach(self._session, url)
        data = self._rows.run("feed", lambda: _whole(response, FEED_TYPE))
        self._rows.run("feed caching", lambda: self._caching(url, SHORT))
        return None if data is None else self._rows.run("feed offers it", lambda: self._offered(data, url))

    def image(self, feed: _Feed | None, workdir: Path) -> _Download | None:
        """Fetch the image by both ways; the one that the feed names is kept in `workdir`."""
        if feed is None or feed.item.enclosure is None:
            for name in ("image", "download button", "ranges", "image caching"):
                self._rows.skip(name, "the feed does not say where the image is")
            return None
        url = feed.item.enclosure.url
        path = workdir / "image.dmg"
        image = self._rows.run("image", lambda: self._image(url, path, feed.item))
        if feed.item.channel:
            self._rows.skip("download button", f"the channel {feed.item.channel} has none")
        else:
            self._rows.run("download button", lambda: self._button(image))
        self._rows.run("ranges", lambda: self._ranges(url, image))
        self._rows.run("image caching", lambda: self._caching(url, IMMUTABLE))
        return image

    def _offered(self, data: bytes, url: str) -> tuple[_Feed, str]:
        wanted = self._target
        feed = xml.parse(data, base_url=url)
        item = find(feed, wanted.build)
        if item is None or item.enclosure is None:
            raise _Wrong(f"build {wanted.build} is not in the feed")
        if item.short_version != wanted.version:
            raise _Wrong(f"build {wanted.build} is called {item.short_version}, not {wanted.version}")
        best = highest(feed, lambda other: other.channel == item.channel)
        if best is not item and best is not None:
            raise _Wrong(f"users are offered {best.version} instead")
        return _Feed(data, feed, item), f"{item.short_version} ({item.version}), first of {len(feed.items)}"

    def _image(self, url: str, path: Path, item: Item) -> tuple[_Download, str]:
        if not url.startswith(f"{self._target.site}/releases/"):
            raise _Wrong(f"the feed points elsewhere: {url}")
        with self._session.get(url, stream=True, timeout=TIMEOUT) as response:
            _expect(response, 200, IMAGE_TYPE)
            with path.open("wb") as out:
                size, sha256 = _hashed(response, out.write)
        length = item.enclosure.length if item.enclosure else None
        if length != size:
            raise _Wrong(f"the feed says {length} bytes, {size} came")
        return _Download(path, size, sha256), f"{size} bytes, sha256 {sha256[:16]}…"

    def _button(self, image: _Download | None) -> tuple[None, str]:
        url = f"{self._target.site}/download"
        with self._session.get(url, stream=True, timeout=TIMEOUT) as response:
            _expect(response, 200, IMAGE_TYPE)
            if not response.history:
                raise _Wrong("/download does not lead anywhere")
            if response.headers.get("Cache-Control") != SHORT:
                raise _Wrong(f"{response.url} is cached: {response.headers.get('Cache-Control')}")
            size, sha256 = _hashed(response, lambda _: None)
        if image is None:
            raise _Wrong("there is no image to compare with")
        if sha256 != image.sha256:
            raise _Wrong(f"/download gives other bytes: sha256 {sha256[:16]}…, {size} bytes")
        return None, f"{urlsplit(response.url).path} has the same bytes"

    def _ranges(self, url: str, image: _Download | None) -> tuple[None, str]:
        if image is None:
            raise _Wrong("there is no image to compare with")
        with image.path.open("rb") as file:
            file.seek(max(0, image.size - PIECE))
            tail = file.read()
        spans = {f"bytes={image.size - len(tail)}-": tail, f"bytes=-{len(tail)}": tail}
        for span, expected in spans.items():
            answer = self._session.get(url, headers={"Range": span}, timeout=TIMEOUT)
            if answer.status_code != 206 or answer.content != expected:
                raise _Wrong(f"{span} got {answer.status_code} with {len(answer.content)} bytes")
        beyond = self._session.get(url, headers={"Range": f"bytes={image.size}-"}, timeout=TIMEOUT)
        if beyond.status_code != 416:
            raise _Wrong(f"a range beyond the end got {beyond.status_code}")
        return None, "206 with the right bytes, 416 beyond the end"

    def _caching(self, url: str, wanted: str) -> tuple[None, str]:
        head = self._session.head(url, timeout=TIMEOUT)
        if head.headers.get("Cache-Control") != wanted:
            raise _Wrong(f"Cache-Control is {head.headers.get('Cache-Control')}, not {wanted}")
        etag = head.headers.get("ETag")
        if not etag:
            raise _Wrong("there is no ETag")
        again = self._session.get(url, headers={"If-None-Match": etag}, timeout=TIMEOUT)
        if again.status_code != 304:
            raise _Wrong(f"an unchanged object got {again.status_code}, not 304")
        return None, wanted


class _Inside:
    """What is in the image, and whether keys and signatures fit together."""

    def __init__(self, target: _Target, tools: Tools, rows: _Rows) -> None:
        self._target = target
        self._tools = tools
        self._rows = rows

    def check(self, feed: _Feed | None, image: _Download | None, volume: Path) -> Path | None:
        """Add the rows about the image and the app in it; return where the app was unpacked."""
        if feed is None or image is None:
            self._rows.skip("image and app", "there is no image")
            return None
        run = self._rows.run
        run("image checksums", lambda: self._checksums(image))
        outer = run("image signature", lambda: self._signed(self._tools.verify_image, image.path))
        self._ticket(image, outer)
        app = run("unpacking", lambda: self._unpacked(image, volume))
        if app is None:
            self._rows.skip("the app", "the image cannot be unpacked")
            return None
        inner = run("app signature", lambda: self._signed(self._tools.verify_app, app))
        run("certificate", lambda: self._certificate(outer, inner))
        info = run("Info.plist", lambda: self._info(app))
        if info is not None:
            run("minimum system", lambda: _minimum_system(info, feed.item))
            run("update signature", lambda: _update_signature(self._key(info), feed.item, image))
            run("feed signature", lambda: _feed_signature(self._key(info), info, feed))
        return app

    def _key(self, info: dict[str, Any]) -> str:
        return self._target.signed_by or _public_key(info)

    def _checksums(self, image: _Download) -> tuple[None, str]:
        with self._tools.open_image(image.path) as disk:
            problems = disk.checksums()
        if problems:
            raise _Wrong("; ".join(problems[:5]))
        return None, "all hold"

    def _signed(self, verify: Callable[[Path, bytes | None], Report], path: Path) -> tuple[Report, str]:
        report = verify(path, self._target.trust).require()
        pinned = "by the pinned certificate" if self._target.trust else "by a consistent chain, none pinned"
        checked = sum(each.checked for each in report.walk())
        return report, f"hashes compared: {checked}, signed {pinned}"

    def _ticket(self, image: _Download, signature: Report | None) -> None:
        if not self._target.require_ticket:
            self._rows.skip("ticket", "not asked for")
            return

        def check() -> tuple[bytes, str]:
            ticket = self._tools.read_ticket(image.path)
            if not ticket:
                raise _Wrong("no ticket is stapled to the image")
            return ticket, f"{len(ticket)} bytes, stapled"

        ticket = self._rows.run("ticket", check)
        if ticket and signature:
            self._ticket_owner(ticket, signature)

    def _ticket_owner(self, ticket: bytes, signature: Report) -> None:
        """Look for the image's own code hash in the ticket, whose format Apple does not publish."""
        names = (bytes.fromhex(signature.cdhash), signature.cdhash.encode())
        if any(name in ticket for name in names):
            self._rows.run("ticket's owner", lambda: (None, f"code hash {signature.cdhash[:16]}…"))
        else:
            self._rows.skip("ticket's owner", "the ticket does not show which code hash it is for")

    def _unpacked(self, image: _Download, volume: Path) -> tuple[Path, str]:
        volume.mkdir()
        with self._tools.open_image(image.path) as disk:
            disk.extract(volume)
        app = volume / f"{self._target.app_name}.app"
        if not (app / "Contents/Info.plist").is_file():
            raise _Wrong(f"there is no {app.name} in it")
        return app, app.name

    def _certificate(self, image: Report | None, app: Report | None) -> tuple[None, str]:
        if image is None or app is None:
            raise _Wrong("a signature does not hold")
        if image.certificates[:1] != app.certificates[:1]:
            raise _Wrong("image and app are signed by different certificates")
        leaf = image.certificates[0] if image.certificates else b""
        return None, f"sha256 {hashlib.sha256(leaf).hexdigest()[:16]}…"

    def _info(self, app: Path) -> tuple[dict[str, Any], str]:
        try:
            info: dict[str, Any] = plistlib.loads((app / "Contents/Info.plist").read_bytes())
        except (plistlib.InvalidFileException, ValueError, OSError) as error:
            raise _Wrong(f"it cannot be read: {error}") from error
        wanted = {
            "CFBundleShortVersionString": self._target.version,
            "CFBundleVersion": self._target.build,
            "SUFeedURL": f"{self._target.site}/appcast.xml",
        }
        for name, value in wanted.items():
            if info.get(name) != value:
                raise _Wrong(f"{name} is {info.get(name)!r}, not {value!r}")
        return info, f"{self._target.version} ({self._target.build}), asks {wanted['SUFeedURL']}"


def _update_signature(key: str, item: Item, image: _Download) -> tuple[None, str]:
    signature = item.enclosure.signature if item.enclosure else None
    if not signature:
        raise _Wrong("the feed has no EdDSA signature for the image")
    if not eddsa.verify_file(image.path, signature, key):
        raise _Wrong("the EdDSA signature does not fit the image and the app's own key")
    return None, f"EdDSA, key {key[:12]}…"


def _feed_signature(key: str, info: dict[str, Any], feed: _Feed) -> tuple[None, str]:
    content = eddsa.verify_feed(feed.data, key)
    required = "which the app requires" if info.get("SURequireSignedFeed") else "though the app does not ask"
    return None, f"EdDSA over {len(content)} bytes, {required}"


def _minimum_system(info: dict[str, Any], item: Item) -> tuple[None, str]:
    from appcast.versions import compare

    app, feed = str(info.get("LSMinimumSystemVersion", "")), item.minimum_system_version or ""
    if not app or not feed or compare(app, feed):
        raise _Wrong(f"the app needs macOS {app or '?'}, the feed says {feed or 'nothing'}")
    return None, f"macOS {feed}, in app and feed"


def _public_key(info: dict[str, Any]) -> str:
    key = info.get("SUPublicEDKey")
    if not isinstance(key, str):
        raise _Wrong("the app has no SUPublicEDKey")
    return key


def _reach(session: requests.Session, url: str) -> requests.Response:
    import requests

    try:
        return session.get(url, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise Fault(
            f"the site cannot be reached: {error}",
            where=url,
            cure="check the network and the site, then run ./invoke release again",
            status=Exit.NETWORK,
        ) from error


def _whole(response: requests.Response, content_type: str) -> tuple[bytes, str]:
    _expect(response, 200, content_type)
    data = response.content
    if len(data) > MAX_FEED:
        raise FeedFault(f"the feed has {len(data)} bytes")
    return data, f"{len(data)} bytes"


def _expect(response: requests.Response, status: int, content_type: str) -> None:
    if response.status_code != status:
        raise _Wrong(f"{response.url} answered {response.status_code}")
    if response.headers.get("Content-Type") != content_type:
        raise _Wrong(f"{response.url} is {response.headers.get('Content-Type')}, not {content_type}")


def _hashed(response: requests.Response, write: Callable[[bytes], object]) -> tuple[int, str]:
    hasher, size = hashlib.sha256(), 0
    for chunk in response.iter_content(1 << 20):
        hasher.update(chunk)
        size += len(chunk)
        write(chunk)
    return size, hasher.hexdigest()
