"""Feeds as XML: read safely, written canonically.

Sparkle reads `/rss/channel/item`, knows its own elements by the exact namespace `NAMESPACE` whatever their
prefix, and gives up on the whole feed for one item without a version, without enclosure and link, or with an
enclosure that is not http(s). So does `parse`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import cast
from urllib.parse import urljoin

from lxml import etree

from appcast.feed import Enclosure, Feed, FeedFault, Item, NotesFormat, NotesLink

NAMESPACE = "http://www.andymatuschak.org/xml-namespaces/sparkle"
MAX_BYTES = 64 * 1024 * 1024

_S = f"{{{NAMESPACE}}}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'
_FORMATS = ("html", "plain-text", "markdown")
_ITEM_TEXTS = {
    "title": "title",
    "link": "link",
    f"{_S}version": "version",
    f"{_S}shortVersionString": "short_version",
    f"{_S}minimumSystemVersion": "minimum_system_version",
    f"{_S}channel": "channel",
}
_WEB_OR_RELATIVE = re.compile(r"https?://|(?![a-z][a-z0-9+.-]*:)", re.IGNORECASE)
_CHANNEL_TEXTS = ("title", "link", "description", "language")


def parse(data: bytes, base_url: str | None = None) -> Feed:
    """Read a feed of at most 64 MiB; relative enclosure URLs are resolved against `base_url`.

    No DTD, no entities, no network. Elements that the model does not know are kept as `extra`. Raises
    FeedFault, with the line where there is one, for whatever would make Sparkle refuse the feed.
    """
    channel = _root(data).find("channel")
    if channel is None:
        raise FeedFault("the feed has no <channel> in its <rss>")
    texts = {name: _text(channel.find(name)) for name in _CHANNEL_TEXTS}
    known = {*_CHANNEL_TEXTS, "item"}
    return Feed(
        title=texts["title"] or "",
        link=texts["link"],
        description=texts["description"],
        language=texts["language"],
        items=tuple(_item(node, base_url) for node in channel.iterfind("item")),
        extra=tuple(_canonical(node) for node in _elements(channel) if node.tag not in known),
    )


def render(feed: Feed) -> bytes:
    """Write a feed as UTF-8: the same feed, the same bytes.

    Archive lengths go into the unqualified `length` (Sparkle ignores `sparkle:length` there) and hardware
    requirements into a child element (as an attribute they are ignored too). Raises FeedFault for characters
    that XML has no place for.
    """
    rss = etree.Element("rss", {"version": "2.0"}, nsmap={"sparkle": NAMESPACE})
    channel = etree.SubElement(rss, "channel")
    try:
        for name in _CHANNEL_TEXTS:
            _add(channel, name, getattr(feed, name))
        _add_extra(channel, feed.extra)
        for item in feed.items:
            _render_item(etree.SubElement(channel, "item"), item)
    except ValueError as error:
        raise FeedFault(f"the feed holds a character that XML does not allow: {error}") from error
    etree.indent(rss, space="  ")
    return _DECLARATION + etree.tostring(rss, encoding="utf-8") + b"\n"


def _root(data: bytes) -> etree._Element:
    if len(data) > MAX_BYTES:
        raise FeedFault(f"the feed has {len(data)} bytes; more than {MAX_BYTES} are not read")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FeedFault(f"the feed is not well-formed XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise FeedFault("the feed has a document type, which no feed needs", cure="remove the <!DOCTYPE …>")
    if root.tag != "rss":
        raise FeedFault(f"the feed's root is <{root.tag}>, not <rss>")
    return root


def _item(node: etree._Element, base_url: str | None) -> Item:
    texts: dict[str, str | None] = {}
    description: etree._Element | None = None
    enclosure: etree._Element | None = None
    published: datetime | None = None
    hardware: tuple[str, ...] = ()
    notes: list[NotesLink] = []
    full_notes: list[NotesLink] = []
    extra: list[str] = []
    seen: set[str] = set()
    for child in _elements(node):
        name = child.tag
        fresh = name not in seen
        if fresh and name in _ITEM_TEXTS:
            texts[_ITEM_TEXTS[name]] = _text(child)
        elif fresh and name == "description":
            description = child
        elif fresh and name == "pubDate":
            published = _date(_text(child))
        elif fresh and name == "enclosure":
            enclosure = child
        elif fresh and name == f"{_S}hardwareRequirements":
            hardware = tuple((_text(child) or "").replace(",", " ").split())
        elif name == f"{_S}releaseNotesLink":
            notes.append(_notes(child))
        elif name == f"{_S}fullReleaseNotesLink":
            full_notes.append(_notes(child))
        else:
            extra.append(_canonical(child))
            continue
        seen.add(name)
    return _checked(
        node,
        Item(
            version=_attribute(enclosure, "version") or texts.pop("version", None) or "",
            short_version=_attribute(enclosure, "shortVersionString") or texts.pop("short_version", None),
            title=texts.get("title"),
            link=texts.get("link"),
            description=_text(description),
            description_format=_format(description),
            published=published,
            minimum_system_version=texts.get("minimum_system_version"),
            hardware_requirements=hardware,
            channel=texts.get("channel"),
            enclosure=None if enclosure is None else _enclosure(enclosure, base_url),
            release_notes=tuple(notes),
            full_release_notes=tuple(full_notes),
            line=cast(int | None, node.sourceline),
            extra=tuple(extra),
        ),
    )


def _checked(node: etree._Element, item: Item) -> Item:
    where = f"line {node.sourceline}"
    if not item.version:
        raise FeedFault("an item has no sparkle:version, so Sparkle refuses the whole feed", where=where)
    if item.enclosure is None and not item.link:
        raise FeedFault(f"item {item.version} has neither enclosure nor link", where=where)
    if item.enclosure is not None and not _WEB_OR_RELATIVE.match(item.enclosure.url):
        raise FeedFault(f"item {item.version} has an enclosure that is not http(s)", where=where)
    return item


def _enclosure(node: etree._Element, base_url: str | None) -> Enclosure:
    url = node.get("url", "").strip().replace(" ", "%20")
    length = node.get("length", "").strip()
    known = {"url", "length", "type", f"{_S}edSignature", f"{_S}version", f"{_S}shortVersionString"}
    return Enclosure(
        url=urljoin(base_url, url) if base_url else url,
        length=int(length) if length.isascii() and length.isdigit() else None,
        type=node.get("type", "application/octet-stream"),
        signature=node.get(f"{_S}edSignature"),
        extra=tuple(sorted((str(k), str(v)) for k, v in node.attrib.items() if k not in known)),
    )


def _notes(node: etree._Element) -> NotesLink:
    length = node.get(f"{_S}length", "").strip()
    return NotesLink(
        _text(node) or "",
        node.get(_LANG),
        node.get(f"{_S}edSignature"),
        int(length) if length.isdigit() else None,
    )


def _elements(node: etree._Element) -> Iterator[etree._Element]:
    return node.iterchildren(tag=etree.Element)


def _text(node: etree._Element | None) -> str | None:
    if node is None:
        return None
    text = str(node.xpath("string()")) if len(node) else node.text
    return text.strip() or None if text else None


def _attribute(node: etree._Element | None, name: str) -> str | None:
    return None if node is None else node.get(f"{_S}{name}")


def _format(node: etree._Element | None) -> NotesFormat:
    named = _attribute(node, "format")
    return cast(NotesFormat, named) if named in _FORMATS else "html"


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None  # Sparkle reads such an item as undated


def _canonical(node: etree._Element) -> str:
    """Return the element's canonical text, free of indentation and of another prefix for Sparkle's names."""
    home = etree.Element("home", nsmap={"sparkle": NAMESPACE})
    alone = copy.copy(node)
    alone.tail = None
    home.append(alone)
    standing = etree.tostring(alone, encoding="unicode")
    return cast(str, etree.canonicalize(standing, strip_text=True))


def _render_item(node: etree._Element, item: Item) -> None:
    _add(node, "title", item.title)
    _add(node, "link", item.link)
    _add(node, f"{_S}channel", item.channel)
    _add(node, f"{_S}version", item.version)
    _add(node, f"{_S}shortVersionString", item.short_version)
    _add(node, f"{_S}minimumSystemVersion", item.minimum_system_version)
    _add(node, f"{_S}hardwareRequirements", " ".join(item.hardware_requirements))
    _add(node, "pubDate", _render_date(item.published))
    for name, links in (
        ("releaseNotesLink", item.release_notes),
        ("fullReleaseNotesLink", item.full_release_notes),
    ):
        for link in links:
            _render_notes(etree.SubElement(node, f"{_S}{name}"), link)
    if item.description and item.description.strip():
        description = etree.SubElement(node, "description")
        if item.description_format != "html":
            description.set(f"{_S}format", item.description_format)
        description.text = _literal(item.description)
    if item.enclosure is not None:
        _render_enclosure(etree.SubElement(node, "enclosure"), item.enclosure)
    _add_extra(node, item.extra)


def _render_enclosure(node: etree._Element, enclosure: Enclosure) -> None:
    node.set("url", enclosure.url)
    if enclosure.length is not None:
        node.set("length", str(enclosure.length))
    node.set("type", enclosure.type)
    if enclosure.signature is not None:
        node.set(f"{_S}edSignature", enclosure.signature)
    for name, value in enclosure.extra:
        node.set(name, value)


def _render_notes(node: etree._Element, link: NotesLink) -> None:
    node.text = link.url
    if link.language:
        node.set(_LANG, link.language)
    if link.signature:
        node.set(f"{_S}edSignature", link.signature)
    if link.length is not None:
        node.set(f"{_S}length", str(link.length))


def _render_date(moment: datetime | None) -> str | None:
    return None if moment is None else format_datetime(moment.astimezone(UTC))


def _literal(text: str) -> str:
    """Keep markup readable in the file, but where it would end its own CDATA section."""
    text = text.strip()
    return text if "]]>" in text or "\r" in text else cast(str, etree.CDATA(text))


def _add(parent: etree._Element, name: str, text: str | None) -> None:
    if text and text.strip():  # as `parse` has it, so that reading and writing change nothing
        etree.SubElement(parent, name).text = text.strip()


def _add_extra(parent: etree._Element, extra: Iterable[str]) -> None:
    parent.extend([etree.fromstring(text) for text in extra])
