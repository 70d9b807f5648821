"""Names that Sparkle does not read: slips, forgotten prefixes, attributes that had to be elements."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator
from typing import cast

from lxml import etree

from appcast.names import LANGUAGE as LANG
from appcast.names import SPARKLE as S

Hit = tuple[str, int | None, str]
"""A rule's id, the line, and a detail that completes the rule's sentence."""

LIMITS = ("minimumUpdateVersion", "minimumAutoupdateVersion", "ignoreSkippedUpgradesBelowVersion")
SYSTEMS = ("minimumSystemVersion", "maximumSystemVersion")
LINKS = ("releaseNotesLink", "fullReleaseNotesLink")
_SINGLE = {
    *("version", "shortVersionString", "hardwareRequirements", "channel", "phasedRolloutInterval"),
    *("criticalUpdate", "informationalUpdate", "deltas", "tags", *LIMITS, *SYSTEMS),
}
_ELEMENTS = _SINGLE | set(LINKS)
_ENCLOSURE = {
    *("version", "shortVersionString", "edSignature", "dsaSignature", "os", "installationType"),
    *("deltaFrom", "deltaFromSparkleExecutableSize", "deltaFromSparkleLocales"),
}
_RSS = {
    "title",
    "link",
    "description",
    "pubDate",
    "enclosure",
    "guid",
    "author",
    "category",
    "comments",
    "source",
}
_ONCE = {"title", "link", "description", "pubDate", "enclosure"}
_KNOWN = _RSS | {f"{S}{name}" for name in _ELEMENTS}
_ATTRIBUTES = {
    "enclosure": _ENCLOSURE,
    "description": {"format"},
    f"{S}releaseNotesLink": {"edSignature", "length"},
    f"{S}fullReleaseNotesLink": {"edSignature", "length"},
    f"{S}criticalUpdate": {"version"},
}
_CHILDREN = {
    f"{S}informationalUpdate": {f"{S}version", f"{S}belowVersion"},
    f"{S}tags": {f"{S}criticalUpdate"},
    f"{S}deltas": {"enclosure"},
}


def names(children: dict[str, list[etree._Element]]) -> Iterator[Hit]:
    """Look at the names in one item, whose children come by tag."""
    for tag, nodes in children.items():
        if tag not in _KNOWN:
            yield from _name(nodes[0], tag, _ELEMENTS, _RSS)
        for node in nodes:
            keys = tuple(node.keys())
            if keys and not _all_known(tag, keys):
                yield from _attributes(node, tag)
            if tag in _CHILDREN:
                yield from _inner(node, _CHILDREN[tag])
        if len(nodes) > 1 and _stands_once(tag) and not any(LANG in node.attrib for node in nodes):
            yield "repeated", line_of(nodes[1]), f"<{tag.replace(S, 'sparkle:')}>"


def _stands_once(tag: str) -> bool:
    return tag[len(S) :] in _SINGLE if tag.startswith(S) else tag in _ONCE


@functools.lru_cache(maxsize=1024)
def _all_known(tag: str, keys: tuple[str, ...]) -> bool:
    """Tell whether there is nothing to say about these attributes: most items have the same ones."""
    node = etree.Element(tag, dict.fromkeys(keys, ""))
    return next(_attributes(node, tag), None) is None


def _inner(parent: etree._Element, allowed: set[str]) -> Iterator[Hit]:
    local = {name.removeprefix(S) for name in allowed}
    for node in parent.iterchildren(tag=etree.Element):
        if node.tag not in allowed:
            yield from _name(node, node.tag, local, set())
        elif node.tag.startswith(S) and node.prefix != "sparkle":  # here Sparkle compares the name as written
            yield "prefix", line_of(node), f"<{node.prefix}:{node.tag[len(S) :]}>"
        elif node.tag == "enclosure":
            yield from _attributes(node, node.tag)


def _name(node: etree._Element, tag: str, ours: set[str], plain: set[str]) -> Iterator[Hit]:
    """Judge one element's name: `ours` are Sparkle's here, `plain` those without a namespace."""
    if tag.startswith(S):
        local = tag[len(S) :]
        if local not in ours:
            yield _stranger(line_of(node), f"<sparkle:{local}>", local, ours, "sparkle:")
    elif not tag.startswith("{") and tag not in plain:
        if tag in ours:
            yield "unqualified", line_of(node), f"<{tag}>"
        elif (meant := suggestion(tag, frozenset(plain | ours))) is not None:
            yield "typo", line_of(node), f"<{tag}>; did you mean {'sparkle:' * (meant in ours)}{meant}?"


def _attributes(node: etree._Element, tag: str) -> Iterator[Hit]:
    known = _ATTRIBUTES.get(tag, set())
    for name in node.attrib:
        name = str(name)
        ours, local = name.startswith(S), name.rpartition("}")[2]
        if (ours and local in known) or (not ours and local not in _ELEMENTS | known):
            continue
        if not ours and name.startswith("{"):
            continue
        if not ours and local in known:
            if not (tag.endswith("Link") and local == "length"):
                yield "unqualified", line_of(node), f'{local}="…"'
        elif local == "hardwareRequirements":
            yield "hardware-attribute", line_of(node), ""
        elif local in _ELEMENTS:
            yield "attribute-ignored", line_of(node), name.replace(S, "sparkle:")
        elif tag == "enclosure" and local == "length":
            yield "length-qualified", line_of(node), ""
        else:
            yield _stranger(line_of(node), f'sparkle:{local}="…"', local, known | _ELEMENTS, "sparkle:")


def _stranger(line: int | None, shown: str, local: str, known: set[str], prefix: str) -> Hit:
    meant = suggestion(local, frozenset(known))
    if meant is None:
        return "unknown", line, shown
    return "typo", line, f"{shown}; did you mean {prefix}{meant}?"


@functools.lru_cache(maxsize=1024)
def suggestion(name: str, known: frozenset[str]) -> str | None:
    """Return the known name that `name` is probably a slip of, or None."""
    lower = {one.lower(): one for one in sorted(known)}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.8)
    return lower[close[0]] if close else None


def line_of(node: etree._Element) -> int | None:
    """Return the line where an element starts."""
    return cast("int | None", node.sourceline)
