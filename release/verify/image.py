"""One image that the feed offers: the file, its signatures, the ticket, and the app in it."""

from __future__ import annotations

import hashlib
import plistlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from appcast.feed import Item
from appcast.lint import AppFacts
from appcast.versions import compare
from errors import Fault
from release import verify_mac
from release.objects import IMAGE_TYPE, IMMUTABLE, disposition
from release.verification import Check, Report, Tools
from release.verify.attestations import Statements
from release.verify.expected import Expected
from release.verify.feed import served_again
from release.verify.rows import Rows, Wrong
from release.verify.web import Answer, Download, Web
from release.verify_mac import Mac


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was seen of an item's image; what could not be seen is None. `key` is the app's SUPublicEDKey."""

    item: Item
    rows: Rows
    download: Download | None = None
    app: AppFacts | None = None
    certificate: bytes | None = None
    statements: Statements | None = None
    mac: tuple[Check, ...] = ()

    @property
    def key(self) -> str | None:
        """The key that the app judges updates by."""
        return self.app.public_key or None if self.app is not None else None


@dataclass(frozen=True, slots=True)
class Inspector:
    """Downloads and looks. `folder` gets a folder for each image; apps are unpacked only while looked at."""

    site: str
    web: Web
    expected: Expected
    tools: Tools
    folder: Path
    mac: Mac | None = None
    keep: bool = False

    def inspect(self, item: Item) -> Inspected:
        """Look at the image of one item. Never raises for what it finds."""
        rows = Rows(f"{item.short_version or '?'} ({item.version})")
        url = address(item)
        folder = self.folder / (_file_name(url) or item.version)
        folder.mkdir(parents=True, exist_ok=True)
        download = rows.run("image", lambda: self._download(item, url, folder / "image.dmg"), url)
        if download is None:
            rows.skip("image and app", "there is no image")
            return Inspected(item, rows)
        rows.run("image caching", lambda: served_again(self.web, download.answer, IMMUTABLE), url)
        rows.run("image name", lambda: _named(download.answer, _file_name(url)), url)
        rows.run("image checksums", lambda: self._checksums(download.path), url)
        outer = rows.run("image signature", lambda: self._signed(self.tools.verify_image, download.path), url)
        self._ticket(rows, download.path, outer)
        if item.deltas:
            rows.skip(
                "deltas", f"{len(item.deltas)} of them; ./invoke appcast.lint --download looks into them"
            )
        statements = Statements.fetch(self.web, url, folder, rows)
        try:
            return self._inside(rows, item, download, outer, statements, folder / "volume")
        finally:
            if not self.keep:
                shutil.rmtree(folder / "volume", ignore_errors=True)

    def _inside(
        self,
        rows: Rows,
        item: Item,
        download: Download,
        outer: Report | None,
        statements: Statements | None,
        volume: Path,
    ) -> Inspected:
        app = rows.run("unpacking", lambda: self._unpacked(download.path, volume))
        mac = verify_mac.ask(download.path, app, rows.group, mac=self.mac) if self.mac is not None else ()
        leaf = outer.certificates[0] if outer is not None and outer.certificates else None
        if app is None:
            rows.skip("the app", "the image cannot be unpacked")
            return Inspected(item, rows, download, None, leaf, statements, mac)
        inner = rows.run("app signature", lambda: self._signed(self.tools.verify_app, app))
        rows.run("certificate", lambda: self._certificate(outer, inner))
        info = rows.run("Info.plist", lambda: self._info(app, item))
        facts = rows.run("program", lambda: _facts(app, info or {}))
        if facts is not None:
            rows.run("processors", lambda: _processors(facts, item))
            rows.run("minimum system", lambda: _minimum_system(facts, item))
        if statements is not None:
            statements.check_inside(app, rows)
        return Inspected(item, rows, download, facts, leaf, statements, mac)

    def _download(self, item: Item, url: str, path: Path) -> tuple[Download, str]:
        if not url.startswith(f"{self.site}/releases/"):
            raise Wrong("the feed points elsewhere", expected=f"{self.site}/releases/…", found=url)
        came = self.web.download(url, path, lambda answer: answer.expect(200, content_type=IMAGE_TYPE))
        length = item.enclosure.length if item.enclosure else None
        if length != came.size:
            raise Wrong(
                f"the feed says {length} bytes, {came.size} came",
                cure="publish the very file that was signed, under a new build number",
            )
        return came, f"{came.size} bytes, sha256 {came.sha256[:16]}…"

    def _checksums(self, image: Path) -> tuple[None, str]:
        with self.tools.open_image(image) as disk:
            problems = disk.checksums()
        if problems:
            raise Wrong("; ".join(problems[:5]))
        return None, "all hold"

    def _signed(self, verify: Callable[[Path, bytes | None], Report], path: Path) -> tuple[Report, str]:
        report = verify(path, self.expected.trust).require()
        if self.expected.team not in (None, report.team_id):
            raise Wrong("another team signed it", expected=self.expected.team, found=report.team_id)
        pinned = "by the pinned certificate" if self.expected.trust else "by a consistent chain, none pinned"
        checked = sum(each.checked for each in report.walk())
        return report, f"hashes compared: {checked}, signed {pinned}"

    def _ticket(self, rows: Rows, image: Path, signature: Report | None) -> None:
        if not self.expected.ticket:
            rows.skip("ticket", "not asked for")
            return

        def check() -> tuple[bytes, str]:
            ticket = self.tools.read_ticket(image)
            if not ticket:
                raise Wrong(
                    "no ticket is stapled to the image", cure="notarize and staple it, as a new build"
                )
            return ticket, f"{len(ticket)} bytes, stapled"

        ticket = rows.run("ticket", check)
        if ticket and signature:
            _ticket_owner(rows, ticket, signature.cdhash)

    def _unpacked(self, image: Path, volume: Path) -> tuple[Path, str]:
        volume.mkdir(exist_ok=True)
        with self.tools.open_image(image) as disk:
            disk.extract(volume)
        apps = sorted(volume.glob("*.app"))
        if len(apps) != 1 or not (apps[0] / "Contents/Info.plist").is_file():
            raise Wrong(f"there are {len(apps)} apps in it")
        if self.expected.app_name not in (None, apps[0].stem):
            raise Wrong("another app is in it", expected=self.expected.app_name, found=apps[0].stem)
        return apps[0], apps[0].name

    def _certificate(self, image: Report | None, app: Report | None) -> tuple[None, str]:
        if image is None or app is None:
            raise Wrong("a signature does not hold")
        if image.certificates[:1] != app.certificates[:1]:
            raise Wrong("image and app are signed by different certificates")
        leaf = image.certificates[0] if image.certificates else b""
        return None, f"sha256 {hashlib.sha256(leaf).hexdigest()[:16]}…"

    def _info(self, app: Path, item: Item) -> tuple[dict[str, Any], str]:
        info = _plist(app)
        wanted = {
            "CFBundleShortVersionString": item.short_version,
            "CFBundleVersion": item.version,
            "SUFeedURL": f"{self.site}/appcast.xml",
        }
        for name, value in wanted.items():
            if info.get(name) != value:
                raise Wrong(f"{name} is another", expected=repr(value), found=repr(info.get(name)))
        return info, f"{item.short_version} ({item.version}), asks {wanted['SUFeedURL']}"


def address(item: Item) -> str:
    """Return where an item's image is: what tells items apart, for two may have the same version."""
    return item.enclosure.url if item.enclosure is not None else ""


def _plist(app: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = plistlib.loads((app / "Contents/Info.plist").read_bytes())
    except (plistlib.InvalidFileException, ValueError, OSError) as error:
        raise Wrong(f"it cannot be read: {error}") from error
    return info


def _file_name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _named(answer: Answer, name: str) -> tuple[None, str]:
    answer.expect(200, content_disposition=disposition(name))
    return None, f"saved as {name}"


def _ticket_owner(rows: Rows, ticket: bytes, cdhash: str) -> None:
    """Look for the image's own code hash in the ticket, whose format Apple does not publish."""
    if any(name in ticket for name in (bytes.fromhex(cdhash), cdhash.encode())):
        rows.run("ticket's owner", lambda: (None, f"code hash {cdhash[:16]}…"))
    else:
        rows.skip("ticket's owner", "the ticket does not show which code hash it is for")


def _facts(app: Path, info: Mapping[str, Any]) -> tuple[AppFacts, str]:
    from signing.macho import read

    executable = app / "Contents/MacOS" / str(info.get("CFBundleExecutable", app.stem))
    try:
        found = sorted({part.arch for part in read(executable)})
    except (Fault, OSError) as error:
        raise Wrong(f"its program cannot be read: {error}") from error
    return AppFacts.of(info, found), f"for {', '.join(found)}"


def _processors(facts: AppFacts, item: Item) -> tuple[None, str]:
    needs = [name.lower() for name in item.hardware_requirements]
    if "x86_64" not in facts.architectures and "arm64" not in needs:
        raise Wrong(
            "Intel Macs are offered what they cannot run",
            expected="hardwareRequirements arm64",
            found=", ".join(needs) or "none",
        )
    return None, "Apple silicon alone" if "arm64" in needs else "any Mac"


def _minimum_system(facts: AppFacts, item: Item) -> tuple[None, str]:
    app, feed = facts.minimum_system_version, item.minimum_system_version or ""
    if not app or not feed or compare(app, feed):
        raise Wrong(f"the app needs macOS {app or '?'}, the feed says {feed or 'nothing'}")
    return None, f"macOS {feed}, in app and feed"
