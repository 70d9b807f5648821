"""From the model to XML, always in the same order and form."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import cast

from lxml import etree

from appcast.feed import Critical, Delta, Enclosure, Feed, Informational, Item, NotesFormat, NotesLink
from appcast.names import (
    CHANNEL_TEXTS,
    DELTA_FROM,
    DELTA_LOCALES,
    DELTA_SIZE,
    ENCLOSURE_TEXTS,
    ITEM_TEXTS,
    LANGUAGE,
    NAMESPACE,
    NOTES_LINKS,
    SPARKLE,
)

_DECLARATION = b'<?xml version="1.0" encoding="utf-8"?>\n'


def document(feed: Feed) -> bytes:
    """Write a feed as UTF-8. Raises ValueError or XMLSyntaxError for what XML has no place for."""
    rss = etree.Element("rss", {"version": "2.0"}, nsmap={"sparkle": NAMESPACE})
    channel = etree.SubElement(rss, "channel")
    for name in CHANNEL_TEXTS:
        _add(channel, name, getattr(feed, name))
    _add_extra(channel, feed.extra)
    for tag, name, value in feed.attributes:
        _set(rss if tag == "rss" else _named(channel, tag), name, value)
    for item in feed.items:
        _render_item(etree.SubElement(channel, "item"), item)
    etree.indent(rss, space="  ")
    return _DECLARATION + etree.tostring(rss, encoding="utf-8") + b"\n"


def _render_item(node: etree._Element, item: Item) -> None:
    for tag, name in ITEM_TEXTS.items():
        _add(node, tag, getattr(item, name))
    _add(node, f"{SPARKLE}hardwareRequirements", " ".join(item.hardware_requirements))
    _add(node, "pubDate", _date(item.published))
    if item.phased_rollout_interval is not None:
        _add(node, f"{SPARKLE}phasedRolloutInterval", str(item.phased_rollout_interval))
    _add_critical(node, item.critical)
    _add_informational(node, item.informational)
    for tag, name in NOTES_LINKS.items():
        for link in getattr(item, name):
            _add_link(node, tag, link)
    _add_description(node, item.description, item.description_language, item.description_format)
    for other in item.translations:
        _add_description(node, other.text, other.language, other.format)
    if item.enclosure is not None:
        _fill_enclosure(etree.SubElement(node, "enclosure"), item.enclosure)
    _add_deltas(node, item.deltas)
    _add_extra(node, item.extra)
    for tag, name, value in item.attributes:
        _set(_named(node, tag), name, value)


def _add_critical(node: etree._Element, critical: Critical | None) -> None:
    if critical is not None:
        element = etree.SubElement(node, f"{SPARKLE}criticalUpdate")
        _set(element, f"{SPARKLE}version", critical.below)


def _add_informational(node: etree._Element, informational: Informational | None) -> None:
    if informational is not None:
        element = etree.SubElement(node, f"{SPARKLE}informationalUpdate")
        for version in informational.versions:
            _add(element, f"{SPARKLE}version", version)
        for version in informational.below:
            _add(element, f"{SPARKLE}belowVersion", version)


def _add_link(node: etree._Element, tag: str, link: NotesLink) -> None:
    element = etree.SubElement(node, tag)
    element.text = link.url
    _set(element, LANGUAGE, link.language)
    _set(element, f"{SPARKLE}edSignature", link.signature)
    _set(element, f"{SPARKLE}length", None if link.length is None else str(link.length))
    for name, value in link.extra:
        _set(element, name, value)


def _add_description(
    node: etree._Element, text: str | None, language: str | None, format_: NotesFormat
) -> None:
    if text and text.strip():
        element = etree.SubElement(node, "description")
        _set(element, LANGUAGE, language)
        _set(element, f"{SPARKLE}format", None if format_ == "html" else format_)
        element.text = _literal(text.strip())


def _fill_enclosure(node: etree._Element, enclosure: Enclosure) -> None:
    _set(node, "url", enclosure.url or None)
    _set(node, "length", None if enclosure.length is None else str(enclosure.length))
    for tag, name in ENCLOSURE_TEXTS.items():
        _set(node, tag, getattr(enclosure, name))
    for name, value in enclosure.extra:
        _set(node, name, value)


def _add_deltas(node: etree._Element, deltas: Iterable[Delta]) -> None:
    if deltas:
        parent = etree.SubElement(node, f"{SPARKLE}deltas")
        for delta in deltas:
            element = etree.SubElement(parent, "enclosure")
            _fill_enclosure(element, delta.enclosure)
            size = delta.executable_size
            _set(element, DELTA_FROM, delta.from_version)
            _set(element, DELTA_SIZE, None if size is None else str(size))
            _set(element, DELTA_LOCALES, ",".join(delta.locales) or None)


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else format_datetime(moment.astimezone(UTC))


def _literal(text: str) -> str:
    """Keep markup readable in the file, but where it would end its own CDATA section."""
    return text if "]]>" in text or "\r" in text else cast(str, etree.CDATA(text))


def _named(parent: etree._Element, tag: str) -> etree._Element | None:
    return parent.find(tag) if tag else parent


def _set(node: etree._Element | None, name: str, value: str | None) -> None:
    """Set an attribute that is not there yet: what the model knows goes first."""
    if node is not None and value is not None and name not in node.attrib:
        node.set(name, value)


def _add(parent: etree._Element, name: str, text: str | None) -> None:
    if text and text.strip():  # as it is read, so that reading and writing change nothing
        etree.SubElement(parent, name).text = text.strip()


def _add_extra(parent: etree._Element, extra: Iterable[str]) -> None:
    parent.extend([etree.fromstring(text) for text in extra])
