"""From XML to the model: one pass over each item's children, by the element's name."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, field, fields, make_dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urljoin

from lxml import etree

from appcast.feed import (
    Critical,
    Delta,
    Description,
    Enclosure,
    Feed,
    Informational,
    Item,
    NotesFormat,
    NotesLink,
)
from appcast.names import (
    CHANNEL_TEXTS,
    DELTA_FROM,
    DELTA_LOCALES,
    DELTA_SIZE,
    ITEM_TEXTS,
    LANGUAGE,
    NAMESPACE,
    NOTES_LINKS,
    SPARKLE,
)

_FORMATS = ("html", "plain-text", "markdown")
_VERSIONS = frozenset((f"{SPARKLE}version", f"{SPARKLE}shortVersionString"))
_SIGNATURE = f"{SPARKLE}edSignature"
_USUAL = {"url", "length", "type", _SIGNATURE}
_RARE = {
    "dsa_signature": f"{SPARKLE}dsaSignature",
    "os": f"{SPARKLE}os",
    "installation_type": f"{SPARKLE}installationType",
}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,18})")
_DATE = re.compile(
    "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, ([0-9]{1,2}) ([A-Z][a-z]{2})[a-z]* ([0-9]{4}) "
    "([0-9]{1,2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{2}:?[0-9]{2}|GMT|UTC|Z)"
)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: f"{number:02}" for number, name in enumerate(_NAMES, 1)}


def _twin(sealed: type) -> Any:
    """Make a class that is laid out like a frozen one, but is filled in a quarter of the time.

    An instance is open while it is read; giving it the frozen class seals it. In a feed of thousands of
    items, constructing frozen ones would take as long as reading them.
    """
    named = [
        (one.name, object, field(default=None if one.default is MISSING else one.default))
        for one in fields(sealed)
    ]
    return make_dataclass(f"Open{sealed.__name__}", named, slots=True)


_OpenFeed, _OpenItem, _OpenEnclosure = _twin(Feed), _twin(Item), _twin(Enclosure)
_LISTS = ("extra", "attributes", "translations", *NOTES_LINKS.values())
_TAGGED = Critical()  # by the old <sparkle:tags>, which <sparkle:criticalUpdate> overrules


def feed(root: etree._Element, channels: Iterable[etree._Element], base_url: str | None) -> Feed:
    """Read the items of all channels, as Sparkle does; the texts of the first that has them."""
    whole, items = _OpenFeed(), []
    _remember(whole, root, "rss", ("version",))
    for channel in channels:
        _remember(whole, channel, "")
        for child in channel:
            tag = child.tag
            if tag == "item":
                items.append(_item(child, base_url))
            elif isinstance(tag, str) and not (tag in CHANNEL_TEXTS and _read_text(whole, child, tag)):
                _leave(whole, child)
    _close(whole, ("extra", "attributes"))
    whole.title, whole.items = whole.title or "", tuple(items)
    whole.__class__ = Feed
    return cast(Feed, whole)


def _item(node: etree._Element, base_url: str | None) -> Item:
    item, texts, readers = _OpenItem(line=node.sourceline), ITEM_TEXTS, _READERS
    if node.attrib:
        _remember(item, node, "")
    for child in node:
        tag = child.tag
        if (name := texts.get(tag)) is not None:
            if (text := child.text) and not getattr(item, name) and not child.attrib and not len(child):
                setattr(item, name, text.strip() or None)  # nearly all are as plain as that
            elif not _read_text(item, child, name):
                _leave(item, child)
        elif (read := readers.get(tag)) is not None:
            if not read(item, child, base_url):
                _leave(item, child)
        elif isinstance(tag, str):  # comments go without saying
            _leave(item, child)
    if base_url is not None or not item.version or (item.enclosure is not None and item.enclosure.extra):
        _finish(item, base_url)
    _close(item, _LISTS)
    item.__class__ = Item
    return cast(Item, item)


def _finish(item: Any, base_url: str | None) -> None:
    """Settle what depends on several elements."""
    enclosure = item.enclosure
    if enclosure is not None and enclosure.extra:
        wins = {ITEM_TEXTS[name]: value for name, value in enclosure.extra if name in _VERSIONS and value}
        rest = tuple((name, value) for name, value in enclosure.extra if name not in _VERSIONS)
        item.enclosure = replace(enclosure, extra=rest)
        for name, value in wins.items():
            setattr(item, name, value)
    if not item.version:
        item.version = "" if enclosure is None else _version_in(enclosure.url)
    if base_url is not None and item.link is not None:
        item.link = _resolved(item.link, base_url)


def _version_in(url: str) -> str:
    """Return the version in a file name such as App_1.2.zip, Sparkle's last resort, or ""."""
    _, separator, last = url.rpartition("_")
    stem, dot, suffix = last.rpartition(".")
    return (stem if dot and "/" not in suffix else last) if separator else ""


def _read_text(item: Any, node: etree._Element, name: str) -> bool:
    """Take a plain element; False if there is one of that name already."""
    if getattr(item, name):
        return False
    setattr(item, name, _text(node))
    _remember(item, node, node.tag)
    return True


def _read_description(item: Any, node: etree._Element, _: str | None) -> bool:
    text = _text(node)
    if text is None:
        return True
    language, format_ = None, "html"
    if node.attrib:
        language, named = node.get(LANGUAGE), str(node.get(f"{SPARKLE}format", "")).lower()
        format_ = named if named in _FORMATS else "html"
    if item.description is not None:
        _append(item, "translations", Description(text, language, cast(NotesFormat, format_)))
        return True
    item.description, item.description_language, item.description_format = text, language, format_
    _remember(item, node, node.tag, (LANGUAGE, f"{SPARKLE}format"))
    return True


def _read_date(item: Any, node: etree._Element, _: str | None) -> bool:
    published = _date((node.text or "").strip())
    if published is None or item.published is not None:
        return False  # with a bad date Sparkle reads an item as undated
    item.published = published
    if node.attrib:
        _remember(item, node, node.tag)
    return True


def _read_hardware(item: Any, node: etree._Element, _: str | None) -> bool:
    if item.hardware_requirements:
        return False
    item.hardware_requirements = tuple((_text(node) or "").lower().replace(",", " ").split())
    _remember(item, node, node.tag)
    return True


def _read_rollout(item: Any, node: etree._Element, _: str | None) -> bool:
    if item.phased_rollout_interval is not None:
        return False
    number = _INTEGER.match(_text(node) or "")
    item.phased_rollout_interval = int(number[1]) if number else 0  # as integerValue has it
    _remember(item, node, node.tag)
    return True


def _read_critical(item: Any, node: etree._Element, _: str | None) -> bool:
    if item.critical is not None and item.critical is not _TAGGED:
        return False
    item.critical = Critical(node.get(f"{SPARKLE}version"))
    _remember(item, node, node.tag, (f"{SPARKLE}version",))
    return True


def _read_tags(item: Any, node: etree._Element, _: str | None) -> bool:
    known = node.findall(f"{SPARKLE}criticalUpdate")
    if known and item.critical is None:
        item.critical = _TAGGED
    return _read_container(item, node, known)


def _read_informational(item: Any, node: etree._Element, _: str | None) -> bool:
    if item.informational is not None:
        return False
    versions = [child for child in node.iterfind(f"{SPARKLE}version") if _text(child)]
    below = [child for child in node.iterfind(f"{SPARKLE}belowVersion") if _text(child)]
    item.informational = Informational(
        tuple(_text(child) or "" for child in versions), tuple(_text(child) or "" for child in below)
    )
    return _read_container(item, node, [*versions, *below])


def _read_deltas(item: Any, node: etree._Element, base_url: str | None) -> bool:
    if item.deltas:
        return False
    known = [child for child in node.iterfind("enclosure") if child.get(DELTA_FROM)]
    item.deltas = tuple(_delta(child, base_url) for child in known)
    return _read_container(item, node, known)


def _read_container(item: Any, node: etree._Element, known: list[etree._Element]) -> bool:
    elements = sum(isinstance(child.tag, str) for child in node)
    if elements > len(known) or node.attrib:
        _leave(item, node, known)
    return True


def _read_link(item: Any, node: etree._Element, base_url: str | None) -> bool:
    url = _text(node)
    if url is None:
        return False
    attributes = _attributes(node)
    link = NotesLink(
        _resolved(url, base_url),
        attributes.pop(LANGUAGE, None),
        attributes.pop(_SIGNATURE, None),
        _length(attributes.pop(f"{SPARKLE}length", "")),
        tuple(sorted(attributes.items())),
    )
    _append(item, NOTES_LINKS[str(node.tag)], link)
    return True


def _read_enclosure(item: Any, node: etree._Element, base_url: str | None) -> bool:
    if item.enclosure is not None:
        return False
    item.enclosure = _enclosure(_attributes(node), base_url)
    return True


def _enclosure(attributes: dict[str, str], base_url: str | None) -> Enclosure:
    get = attributes.get
    url, length = get("url", "").strip(), _length(get("length", ""))
    if " " in url:
        url = url.replace(" ", "%20")  # as Sparkle forgives it
    enclosure = _OpenEnclosure(
        url if base_url is None else _resolved(url, base_url),
        length,
        get("type", "application/octet-stream"),
        get(_SIGNATURE),
    )
    if length is None or attributes.keys() != _USUAL:
        _add_rare(enclosure, attributes)
    enclosure.__class__ = Enclosure
    return cast(Enclosure, enclosure)


def _add_rare(enclosure: Any, attributes: dict[str, str]) -> None:
    known = _USUAL if enclosure.length is not None else _USUAL - {"length"}
    rest = {name: value for name, value in attributes.items() if name not in known}
    for name, attribute in _RARE.items():
        setattr(enclosure, name, rest.pop(attribute, None))
    enclosure.extra = tuple(sorted(rest.items()))


def _delta(node: etree._Element, base_url: str | None) -> Delta:
    attributes = _attributes(node)
    from_version = attributes.pop(DELTA_FROM)
    size = _length(attributes.get(DELTA_SIZE, ""))
    if size is not None:
        del attributes[DELTA_SIZE]
    locales = tuple(filter(None, attributes.pop(DELTA_LOCALES, "").split(",")))
    return Delta(from_version, _enclosure(attributes, base_url), size, locales)


def _attributes(node: etree._Element) -> dict[str, str]:
    return dict(cast(list[tuple[str, str]], node.items()))


def _remember(holder: Any, node: etree._Element, tag: object, known: Collection[str] = ()) -> None:
    """Keep the attributes that the model has no field for."""
    for name, value in sorted(_attributes(node).items()):
        if name not in known:
            _append(holder, "attributes", (str(tag), name, value))


def _leave(holder: Any, node: etree._Element, known: Iterable[etree._Element] = ()) -> None:
    """Keep an element that the model does not know, or what it does not know of it."""
    rest, wanted = copy.copy(node), set(known)
    if wanted:
        for child, twin in zip(list(node), list(rest), strict=True):
            if child in wanted:
                rest.remove(twin)
    _append(holder, "extra", _canonical(rest))


def _append(holder: Any, name: str, value: object) -> None:
    """Add to a tuple that is a list as long as its holder is open, so that long ones take no longer."""
    values = getattr(holder, name)
    if values:
        values.append(value)
    else:
        setattr(holder, name, [value])


def _close(holder: Any, names: Iterable[str]) -> None:
    for name in names:
        if values := getattr(holder, name):
            setattr(holder, name, tuple(sorted(values) if name == "attributes" else values))


def _resolved(url: str, base_url: str | None) -> str:
    """Make a relative URL absolute."""
    try:
        return url if base_url is None or _SCHEME.match(url) else urljoin(base_url, url)
    except ValueError:
        return url


def _text(node: etree._Element) -> str | None:
    text = str(node.xpath("string()")) if len(node) else node.text
    return text.strip() or None if text else None


def _length(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if digits.isdigit() and digits.isascii() and len(digits) < 20 else None


def _date(text: str) -> datetime | None:
    """Read `E, dd MMM yyyy HH:mm:ss Z`, the one format that Sparkle knows."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year, time, zone = found.groups()
    offset = zone if zone[0] in "+-" else "+0000"
    try:
        moment = datetime.fromisoformat(f"{year}-{_MONTHS[month]}-{day:0>2}T{time:0>8}{offset}")
    except (KeyError, ValueError):
        return None
    return moment if moment.tzinfo is UTC else _utc(moment)


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _canonical(node: etree._Element) -> str:
    """Return the element's canonical text, free of indentation and of another prefix for Sparkle's names."""
    home = etree.Element("home", nsmap={"sparkle": NAMESPACE})
    node.tail = None
    home.append(node)
    standing = etree.tostring(node, encoding="unicode")
    return cast(str, etree.canonicalize(standing, strip_text=True))


_READERS: dict[object, Callable[[Any, etree._Element, str | None], bool]] = {
    "description": _read_description,
    "pubDate": _read_date,
    "enclosure": _read_enclosure,
    f"{SPARKLE}hardwareRequirements": _read_hardware,
    f"{SPARKLE}phasedRolloutInterval": _read_rollout,
    f"{SPARKLE}criticalUpdate": _read_critical,
    f"{SPARKLE}tags": _read_tags,
    f"{SPARKLE}informationalUpdate": _read_informational,
    f"{SPARKLE}deltas": _read_deltas,
    **dict.fromkeys(NOTES_LINKS, _read_link),
}
