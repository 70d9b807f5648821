"""What is wrong with one item by itself: looked for in the XML, as traps don't survive being parsed.

Each check takes an `Entry` and yields hits: a rule's id, the line, and a detail that completes its sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

from lxml import etree

from appcast.lint_names import LIMITS, LINKS, SYSTEMS, Hit, line_of, names
from appcast.names import LANGUAGE as LANG
from appcast.names import SPARKLE as S
from appcast.rollout import TAG as ROLLOUT
from appcast.versions import compare, is_safe

_AUDIENCE = tuple(f"{S}{name}" for name in ("channel", "hardwareRequirements", *SYSTEMS, *LIMITS[:2]))
_FORMATS = ("html", "plain-text", "markdown")
_ARCHIVES = {
    *(".dmg", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".lzma", ".aar", ".pkg", ".mpkg"),
    *("", ".delta"),
}
_CHANNEL = re.compile(r"[\w.-]+")
_DOTTED = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){0,3}")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*, (\d{1,2}) (\w{3}) (\d{4}) (\d\d?):(\d\d):(\d\d) "
    r"(?:([+-])(\d\d):?(\d\d)|GMT|UTC|Z)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Scope:
    """What an item is judged in: the feed's address, whether the feed is signed, and the moment."""

    base_url: str | None
    signed: bool
    now: datetime | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One <item> with its children by tag, in order. `audience` is the same for items for the same Macs."""

    node: etree._Element
    children: dict[str, list[etree._Element]]
    enclosure: etree._Element | None
    version: str
    published: datetime | None
    audience: tuple[str, ...]

    @property
    def line(self) -> int | None:
        """Where the item starts."""
        return line_of(self.node)

    def first(self, name: str) -> etree._Element | None:
        """Return the first child of this tag."""
        found = self.children.get(name)
        return found[0] if found else None

    def text(self, name: str) -> str:
        """Return the first such child's text, without white space around it; empty if there is none."""
        return _text(self.children, name)


def entry(node: etree._Element) -> Entry:
    """Index an item. Its version is what Sparkle takes: the enclosure's, the element's, the file's name's."""
    children: dict[str, list[etree._Element]] = {}
    for child in node.iterchildren(tag=etree.Element):
        children.setdefault(child.tag, []).append(child)
    enclosure = children.get("enclosure", [None])[0]
    audience = (*(_text(children, name) for name in _AUDIENCE), _attribute(enclosure, f"{S}os"))
    named = _attribute(enclosure, f"{S}version") or _text(children, f"{S}version")
    return Entry(node, children, enclosure, named or _from_file(enclosure), _published(children), audience)


def _published(children: dict[str, list[etree._Element]]) -> datetime | None:
    """Return when an item was released: a rollout that was held has another pubDate, and remembers."""
    shown, held = date(_text(children, "pubDate")), children.get(ROLLOUT)
    if shown is None or not held:
        return shown
    try:
        return datetime.fromisoformat(held[0].get("published", ""))
    except ValueError:
        return shown


def _text(children: dict[str, list[etree._Element]], name: str) -> str:
    found = children.get(name)
    return (found[0].text or "").strip() if found else ""


def date(text: str) -> datetime | None:
    """Read a date as Sparkle's formatter does, `E, dd MMM yyyy HH:mm:ss Z` in English; None if it can't."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) if sign else timedelta()
    try:
        zone = timezone(-offset if sign == "-" else offset)
        number = _MONTHS.index(month) + 1
        clock = int(hour), int(minute), int(second)
        return datetime(int(year), number, int(day), *clock, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def check(item: Entry, scope: Scope) -> Iterator[Hit]:
    """Everything that is wrong with one item by itself."""
    for one in _CHECKS:
        yield from one(item, scope)


def _version(item: Entry, scope: Scope) -> Iterator[Hit]:
    element, attribute = item.text(f"{S}version"), _attribute(item.enclosure, f"{S}version")
    if not item.version:
        yield "no-version", item.line, item.text("title")
    elif not element and not attribute:
        yield "version-from-file", item.line, item.version
    elif not is_safe(item.version):
        yield "version-unsafe", item.line, _surprise(item.version)
    if element and attribute and element != attribute:
        yield "version-conflict", item.line, f"{element} and {attribute}"
    if not item.text(f"{S}shortVersionString") and not _attribute(item.enclosure, f"{S}shortVersionString"):
        yield "short-version", item.line, ""


def _surprise(version: str) -> str:
    """Show what Sparkle makes of a version that is not plain numbers."""
    plain = re.match(r"[0-9.]*[0-9]", version)
    if plain is None or plain[0] == version:
        return version
    sign = {-1: "<", 0: "==", 1: ">"}[compare(version, plain[0])]
    return f"{version} {sign} {plain[0]}"


def _dates(item: Entry, scope: Scope) -> Iterator[Hit]:
    node, interval = item.first("pubDate"), item.first(f"{S}phasedRolloutInterval")
    if node is None:
        yield "date-missing", item.line, ""
    elif item.published is None:
        yield "date-bad", line_of(node), (node.text or "").strip()
    elif scope.now is not None and item.published > scope.now:
        yield "date-future", line_of(node), (node.text or "").strip()
    if interval is None:
        return
    seconds = (interval.text or "").strip()
    if not (seconds.isascii() and seconds.isdigit() and int(seconds) > 0):
        yield "phased-interval", line_of(interval), seconds
    if item.published is None:
        yield "phased-undated", line_of(interval), ""


def _download(item: Entry, scope: Scope) -> Iterator[Hit]:
    link = item.first("link")
    web = _is_web((link.text or "").strip(), scope) if link is not None else False
    if link is not None and web:
        yield from _secure("insecure-link", link, (link.text or "").strip(), scope)
    if item.enclosure is None and not web:
        yield "nothing-to-offer", item.line, ""
    elif item.enclosure is not None:
        yield from _enclosure(item.enclosure, scope)
        if f"{S}deltaFrom" in item.enclosure.attrib:
            yield "delta-top-level", line_of(item.enclosure), ""
    if item.first(f"{S}informationalUpdate") is not None and not web:
        yield "informational-link", item.line, ""


def _enclosure(node: etree._Element, scope: Scope) -> Iterator[Hit]:
    line, url = line_of(node), node.get("url", "").strip()
    if not _is_web(url, scope):
        yield "enclosure-url", line, url or "there is none"
    else:
        yield from _address(node, url, scope)
    length = node.get("length", "").strip()
    if not (length.isascii() and length.isdigit() and int(length) > 0) and f"{S}length" not in node.attrib:
        yield "length-missing", line, length
    kind = node.get("type", "")
    if not kind.startswith("application/"):
        yield "type", line, kind
    suffix = PurePosixPath(_file_name(url)).suffix.lower() if url[-4:] != ".dmg" else ".dmg"
    if suffix not in _ARCHIVES and not suffix[1:].isdigit():
        yield "archive-format", line, suffix
    yield from _signed(node, "signature-missing")
    if f"{S}dsaSignature" in node.attrib:
        yield "signature-dsa", line, ""
    if node.get(f"{S}os", "macos") != "macos":
        yield "os", line, node.get(f"{S}os", "")
    if node.get(f"{S}installationType", "application") not in ("application", "package"):
        yield "installation-type", line, node.get(f"{S}installationType", "")


def _signed(node: etree._Element, missing: str | None) -> Iterator[Hit]:
    signature = node.get(f"{S}edSignature")
    if signature is None:
        if missing:
            yield missing, line_of(node), ""
    elif not _is_signature(signature):
        yield "signature-malformed", line_of(node), _short(signature)


def _is_signature(text: str) -> bool:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == 64 and len(text) == 88


def _address(node: etree._Element, url: str, scope: Scope) -> Iterator[Hit]:
    if "://" not in url[:8]:
        yield "relative-url", line_of(node), url
    yield from _secure("insecure-url", node, url, scope)


def _secure(rule: str, node: etree._Element, url: str, scope: Scope) -> Iterator[Hit]:
    if url[:8].lower() == "https://":
        return
    parts = urlsplit(_whole(url, scope))
    if parts.scheme.lower() == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        yield rule, line_of(node), url


def _systems(item: Entry, scope: Scope) -> Iterator[Hit]:
    if item.first(f"{S}minimumSystemVersion") is None:
        yield "system-missing", item.line, ""
    readable: list[str] = []
    for name in SYSTEMS:
        node = item.first(f"{S}{name}")
        if node is None:
            continue
        text = (node.text or "").strip()
        if not _DOTTED.fullmatch(text):
            yield "system-malformed", line_of(node), text or "it is empty"
            continue
        readable.append(text)
        if text.count(".") != 2:
            yield "system-parts", line_of(node), text
    if len(readable) == 2 and compare(*readable) > 0:
        yield "system-range", item.line, f"{readable[0]} to {readable[1]}"
    node = item.first(f"{S}hardwareRequirements")
    if node is not None:
        names = (node.text or "").replace(",", " ").split()
        strange = [name for name in names if name.lower() != "arm64"]
        if strange or not names:
            yield "hardware-unknown", line_of(node), " ".join(strange) or "it is empty"


def _audience(item: Entry, scope: Scope) -> Iterator[Hit]:
    node = item.first(f"{S}channel")
    if node is not None and not _CHANNEL.fullmatch(text := (node.text or "").strip()):
        yield "channel-invalid", line_of(node), text or "it is empty"
    for name in LIMITS:
        node = item.first(f"{S}{name}")
        if node is not None and not is_safe(text := (node.text or "").strip()):
            yield "limit-unsafe", line_of(node), f"{name} {text}"
    lowest = item.text(f"{S}minimumUpdateVersion")
    if lowest and item.version and compare(lowest, item.version) >= 0:
        yield "update-range", item.line, f"from {lowest} to {item.version}"
    critical = item.first(f"{S}criticalUpdate")
    if critical is not None and (below := critical.get(f"{S}version")) and not is_safe(below):
        yield "limit-unsafe", line_of(critical), f"criticalUpdate {below}"
    for tags in item.children.get(f"{S}tags", ()):
        if tags.find(f"{S}criticalUpdate") is not None:
            yield "critical-legacy", line_of(tags), ""


def _notes(item: Entry, scope: Scope) -> Iterator[Hit]:
    description = item.first("description")
    links = item.children.get(f"{S}releaseNotesLink", [])
    if description is None and not links:
        yield "notes-missing", item.line, ""
    for text in item.children.get("description", ()):
        if text.get(f"{S}format", "html") not in _FORMATS:
            yield "notes-format", line_of(text), text.get(f"{S}format", "")
    for name in LINKS:
        nodes = item.children.get(f"{S}{name}", [])
        for node in nodes:
            yield from _notes_link(node, scope, fully=name == "fullReleaseNotesLink")
        if sum(LANG not in node.attrib for node in nodes) > 1:
            yield "notes-languages", line_of(nodes[1]), name


def _notes_link(node: etree._Element, scope: Scope, *, fully: bool) -> Iterator[Hit]:
    url = (node.text or "").strip()
    if not _is_web(url, scope):
        yield "notes-url", line_of(node), url
        return
    if fully:  # opened in the browser, unsigned
        yield from _secure("insecure-link", node, url, scope)
        return
    yield from _address(node, url, scope)
    yield from _signed(node, "notes-unsigned" if scope.signed else None)
    if f"{S}edSignature" in node.attrib and not node.get(f"{S}length", "").isdigit():
        yield "notes-length", line_of(node), url


def _deltas(item: Entry, scope: Scope) -> Iterator[Hit]:
    seen: set[str] = set()
    for parent in item.children.get(f"{S}deltas", ()):
        for node in parent.iterchildren("enclosure"):
            yield from _enclosure(node, scope)
            start = node.get(f"{S}deltaFrom", "")
            if not start:
                yield "delta-from", line_of(node), ""
            elif start in seen:
                yield "delta-duplicate", line_of(node), start
            elif item.version and compare(start, item.version) >= 0:
                yield "delta-not-older", line_of(node), f"{start} to {item.version}"
            seen.add(start)


_CHECKS: tuple[Callable[[Entry, Scope], Iterator[Hit]], ...] = (
    lambda item, scope: names(item.children),
    _version,
    _dates,
    _download,
    _systems,
    _audience,
    _notes,
    _deltas,
)


def _attribute(node: etree._Element | None, name: str) -> str:
    return "" if node is None else node.get(name, "").strip()


def _from_file(enclosure: etree._Element | None) -> str:
    name = _file_name(_attribute(enclosure, "url"))
    return PurePosixPath(name.rpartition("_")[2]).stem if "_" in name else ""


def _file_name(url: str) -> str:
    return re.split("[?#]", url, maxsplit=1)[0].rpartition("/")[2]


def _whole(url: str, scope: Scope) -> str:
    return urljoin(scope.base_url, url) if scope.base_url else url


def _is_web(url: str, scope: Scope) -> bool:
    """Tell whether this is an http(s) address; a relative one is, for the feed has come from such a one."""
    if url[:8].lower() in ("https://",) or url[:7].lower() == "http://":
        return len(url) > 8
    return bool(url) and re.match(r"[a-z][a-z0-9+.-]*:", url, re.IGNORECASE) is None


def _short(text: str) -> str:
    return f"{len(text)} characters" if len(text) > 24 else text
