"""Look for everything in a feed that would keep somebody's update from working, before anybody meets it.

Works on the file as written: traps such as `sparkle:length` on an archive are gone once a feed is parsed,
and one item that Sparkle refuses must not hide what is wrong with the others. Linear in the feed's length.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from lxml import etree

from appcast.feed import Feed, highest
from appcast.lint_items import Entry, Scope, check, entry
from appcast.lint_names import Hit, line_of
from appcast.lint_rules import DOWNLOAD_RULES, RULES, Severity
from appcast.names import NAMESPACE
from appcast.names import SPARKLE as S
from appcast.versions import compare, is_safe
from appcast.xml import MAX_BYTES
from signing import eddsa

GRADES: tuple[Severity, ...] = ("error", "warning", "note")
_SIGNED = re.compile(
    rb"<!-- sparkle-signatures:\nedSignature: [A-Za-z0-9+/]{86}==\nlength: ([0-9]+)\n-->\n\Z"
)
_XMLNS = re.compile(rb"xmlns(?::[^=\s]+)?\s*=\s*([\"'])(.*?)\1")
_MISPLACED = "//*[local-name() = 'item'][not(self::item and parent::channel/parent::rss)]"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `line` is the feed's, `item` a version or title; None where there is none."""

    id: str
    severity: Severity
    line: int | None
    item: str | None
    what: str
    cure: str


@dataclass(frozen=True, slots=True)
class AppFacts:
    """What an app says of itself; empty where it is not known."""

    version: str = ""
    minimum_system_version: str = ""
    public_key: str = ""
    requires_signed_feed: bool = False
    architectures: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: Mapping[str, Any], architectures: Collection[str] = ()) -> AppFacts:
        """Take them from an Info.plist; `architectures` as the executable has them: arm64, x86_64."""
        return cls(
            version=str(info.get("CFBundleVersion", "")),
            minimum_system_version=str(info.get("LSMinimumSystemVersion", "")),
            public_key=str(info.get("SUPublicEDKey", "")),
            requires_signed_feed=info.get("SURequireSignedFeed") is True,
            architectures=tuple(architectures),
        )


def lint(
    data: bytes,
    *,
    base_url: str | None = None,
    app: AppFacts | None = None,
    published: Feed | None = None,
    now: datetime | None = None,
) -> list[Finding]:
    """Return what is wrong with a feed, in the order of its lines.

    `base_url`: where the feed is or will be, against which relative addresses are resolved. `app`: the app
    that the newest item ships. `published`: what is public now. `now` (with a zone): to notice dates to come.
    Never raises for what the feed holds.
    """
    root, hits = _read(data)
    if root is None:
        return [finding(*hit) for hit in hits]
    signed = eddsa.is_signed_feed(data)
    app = app or AppFacts()
    nodes = root.findall("channel/item")
    entries = [entry(node) for node in nodes]
    scope = Scope(base_url, signed or app.requires_signed_feed, now)
    found = [finding(*hit) for hit in _document(root, data, len(nodes), signed, app)]
    for one in entries:
        found += [finding(*hit, item=_label(one)) for hit in check(one, scope)]
    for hit, one in _among(entries, app):
        found.append(finding(*hit, item=_label(one)))
    if published is not None:
        found += _against(entries, published)
    return sorted(found, key=lambda each: each.line or 0)


def finding(rule: str, line: int | None, detail: str, *, item: str | None = None) -> Finding:
    """Make the finding of a rule, its sentence completed by `detail`."""
    row = RULES.get(rule) or DOWNLOAD_RULES[rule]
    return Finding(
        row.id, row.severity, line, item, f"{row.what}: {detail}" if detail else row.what, row.cure
    )


def _read(data: bytes) -> tuple[etree._Element | None, list[Hit]]:
    """Parse without entities, DTD and network; the root, or why there is none."""
    if len(data) > MAX_BYTES:
        return None, [("too-big", None, f"{len(data):,} bytes")]
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        return None, [("not-xml", error.lineno, str(error.msg))]
    except ValueError as error:
        return None, [("not-xml", None, str(error))]
    if root.getroottree().docinfo.internalDTD is not None:
        return None, [("doctype", 1, "")]
    if root.tag != "rss" or root.find("channel") is None:
        return None, [("not-rss", line_of(root), f"its root is <{etree.QName(root).localname}>")]
    return root, []


def _document(root: etree._Element, data: bytes, items: int, signed: bool, app: AppFacts) -> Iterator[Hit]:
    if not items:
        yield "no-items", line_of(root), ""
    yield from _namespaces(root, data)
    for node in cast("list[etree._Element]", root.xpath(_MISPLACED)):
        yield "item-misplaced", line_of(node), ""
    if not signed:
        if app.requires_signed_feed:
            yield "feed-unsigned", None, ""
        return
    yield from _feed_signature(data, app)


def _namespaces(root: etree._Element, data: bytes) -> Iterator[Hit]:
    """Find namespaces meant to be Sparkle's, each once: the URI has to be the same to the letter."""
    declared = {found[2] for found in _XMLNS.finditer(data)}
    for uri in sorted(found.decode("utf-8", "replace") for found in declared):
        if uri != NAMESPACE and any(word in uri.lower() for word in ("sparkle", "andymatuschak")):
            node = next(root.iter(f"{{{uri}}}*"), None)
            if node is not None:
                yield "namespace", line_of(node), uri


def _feed_signature(data: bytes, app: AppFacts) -> Iterator[Hit]:
    if app.public_key:
        try:
            eddsa.verify_feed(data, app.public_key)
        except eddsa.FeedSignatureFault as fault:
            yield "feed-signature", None, fault.what
        except eddsa.KeyFault as fault:
            yield "feed-signature", None, f"the app's key is of no use: {fault.what}"
        return
    block = _SIGNED.search(data)
    if block is None:
        yield "feed-signature", None, "its comment is malformed, or something follows it"
    elif int(block[1]) != block.start():
        yield (
            "feed-signature",
            None,
            f"{block.start()} bytes stand before it, {block[1].decode()} were signed",
        )


def _among(entries: list[Entry], app: AppFacts) -> Iterator[tuple[Hit, Entry]]:
    """Yield what is wrong with items beside each other, and with those of the app's own version."""
    yield from _duplicates(entries)
    yield from _falls(entries)
    yield from _order(entries)
    yield from _shared(entries)
    versions = {one.version for one in entries}
    for one in entries:
        for node in one.node.iterfind(f"{S}deltas/enclosure"):
            start = node.get(f"{S}deltaFrom", "")
            if start and start not in versions:
                yield ("delta-unknown", line_of(node), start), one
        if app.version:
            for hit in _app(one, app):
                yield hit, one


def _duplicates(entries: list[Entry]) -> Iterator[tuple[Hit, Entry]]:
    seen: dict[tuple[object, ...], str] = {}
    for one in entries:
        if not one.version:
            continue
        place = (_normal(one.version), *one.audience)
        if place in seen:
            yield ("version-duplicate", one.line, f"{seen[place]} and {one.version}"), one
        seen.setdefault(place, one.version)


def _falls(entries: list[Entry]) -> Iterator[tuple[Hit, Entry]]:
    """Yield the items that came later than one of a higher version, for the same Macs."""
    branches: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for one in entries:
        if one.version and one.published is not None:
            branches[one.audience].append(one)
    for branch in branches.values():
        branch.sort(key=lambda one: (one.published, _normal(one.version) if is_safe(one.version) else ()))
        best = branch[0]
        for one in branch[1:]:
            if _below(one.version, best.version):
                yield ("version-falls", one.line, f"{one.version} after {best.version}"), one
            else:
                best = one


def _order(entries: list[Entry]) -> Iterator[tuple[Hit, Entry]]:
    oldest: Entry | None = None
    for one in entries:
        if one.published is None:
            continue
        if oldest is not None and oldest.published is not None and one.published > oldest.published:
            yield ("order", one.line, f"{one.version} below {oldest.version}"), one
            return
        oldest = one


def _shared(entries: list[Entry]) -> Iterator[tuple[Hit, Entry]]:
    seen: dict[str, str] = {}
    for one in entries:
        url = one.enclosure.get("url", "") if one.enclosure is not None else ""
        if url and seen.setdefault(url, one.version) != one.version:
            yield ("url-shared", one.line, f"{seen[url]} and {one.version}"), one


def _app(one: Entry, app: AppFacts) -> Iterator[Hit]:
    if one.version != app.version:
        if one.version and compare(one.version, app.version) > 0:
            yield "newer-than-app", one.line, f"{one.version}, the app has {app.version}"
        return
    lowest, wanted = one.text(f"{S}minimumSystemVersion"), app.minimum_system_version
    if wanted and (not lowest or compare(lowest, wanted) < 0):
        yield "system-app", one.line, f"{lowest or 'none'}, the app needs {wanted}"
    needed = one.text(f"{S}hardwareRequirements").lower().replace(",", " ").split()
    if app.architectures and "x86_64" not in app.architectures and "arm64" not in needed:
        yield "hardware-app", one.line, ""


def _against(entries: list[Entry], published: Feed) -> Iterator[Finding]:
    """Compare with what is public: versions may only rise, and bytes under a version never change."""
    mine = {one.version: one for one in entries}
    for item in published.items:
        one = mine.get(item.version)
        if one is None:
            yield finding("published-dropped", None, item.version, item=item.version)
        elif item.enclosure is not None and one.enclosure is not None:
            now = one.enclosure.get(f"{S}edSignature"), one.enclosure.get("length", "")
            if now != (item.enclosure.signature, str(item.enclosure.length or "")):
                yield finding("published-changed", line_of(one.enclosure), "", item=item.version)
    for channel in {item.channel: None for item in published.items}:
        public = highest(published, lambda item, channel=channel: item.channel == channel)  # type: ignore[misc]
        versions = [one.version for one in entries if (one.text(f"{S}channel") or None) == channel]
        if public is not None and all(_below(version, public.version) for version in versions):
            detail = f"{public.version} in {channel or 'the default channel'}"
            yield finding("published-falls", None, detail, item=public.version)


@functools.lru_cache(maxsize=1 << 15)
def _normal(version: str) -> tuple[object, ...]:
    """Return the same value for versions that Sparkle takes for equal."""
    if is_safe(version):
        parts = [int(part) for part in version.split(".")]
        while len(parts) > 1 and parts[-1] == 0:
            parts.pop()
        return tuple(parts)
    cut = version[:1] + version[1:].partition("-")[0]
    return _normal(cut) if is_safe(cut) else (cut,)


def _below(version: str, other: str) -> bool:
    if is_safe(version) and is_safe(other):
        return _normal(version) < _normal(other)  # a good deal faster than Sparkle's rules
    return compare(version, other) < 0


def _label(one: Entry) -> str | None:
    return one.version or one.text("title") or None


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return the gravest severity among findings, None if there are none."""
    found = {each.severity for each in findings}
    return next((grade for grade in GRADES if grade in found), None)
