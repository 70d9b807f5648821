"""Feeds as XML: read safely, written canonically.

Sparkle reads `/rss/channel/item` and knows its own elements by the exact namespace `NAMESPACE`, whatever
their prefix. (For the sake of old feeds it also takes names spelled with the prefix `sparkle` in another
namespace; nothing else does, so such a feed is refused here.) It gives up on the whole feed for one item that
it cannot read, and so does `parse`.
"""

from __future__ import annotations

import re

from lxml import etree

from appcast import reading, writing
from appcast.client import Refused, trouble
from appcast.feed import Feed, FeedFault
from appcast.names import NAMESPACE

__all__ = ["MAX_BYTES", "NAMESPACE", "parse", "render"]

MAX_BYTES = 64 * 1024 * 1024


def parse(data: bytes, base_url: str | None = None, *, strict: bool = True, limit: int = MAX_BYTES) -> Feed:
    """Read a feed of at most `limit` bytes; relative URLs are resolved against `base_url`.

    No DTD, no entities, no network, at most 256 levels deep. Elements and attributes that the model does not
    know are kept. Raises FeedFault, with the line where there is one, for what is no feed, and its subclass
    Refused for items that make Sparkle refuse the feed; if not `strict` those are read as they are.
    """
    root = _root(data, limit)
    channels = root.findall("channel")
    if not channels:
        raise FeedFault("the feed has no <channel> in its <rss>", where=f"line {root.sourceline}")
    feed = reading.feed(root, channels, base_url)
    if strict and (troubles := trouble(feed)):
        refused = Refused(troubles)
        if any("andymatuschak" in uri and uri != NAMESPACE for uri in root.nsmap.values()):
            refused.cure = f'declare the namespace exactly: xmlns:sparkle="{NAMESPACE}"'
        raise refused
    return feed


def render(feed: Feed) -> bytes:
    """Write a feed as UTF-8: the same feed, the same bytes.

    Versions go into elements, archive lengths into the unqualified `length` (Sparkle ignores `sparkle:length`
    there) and hardware requirements into a child element (as an attribute they are ignored too). Raises
    FeedFault for what XML has no place for.
    """
    try:
        return writing.document(feed)
    except (ValueError, etree.XMLSyntaxError) as error:
        raise FeedFault(f"the feed holds what XML does not allow, such as a character: {error}") from error


def _root(data: bytes, limit: int) -> etree._Element:
    if len(data) > limit:
        raise FeedFault(f"the feed has {len(data)} bytes; more than {limit} are not read")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        where = f"line {error.lineno}" if error.lineno else None
        what = re.sub(r", line \d+, column \d+$", "", error.msg or "it is empty")
        raise FeedFault(f"the feed is not well-formed XML: {what}", where=where) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise FeedFault("the feed has a document type, which no feed needs", cure="remove the <!DOCTYPE …>")
    if root.tag != "rss":
        raise FeedFault(f"the feed's root is <{root.tag}>, not <rss>", where=f"line {root.sourceline}")
    return root
