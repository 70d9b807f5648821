"""Release notes, the site's page of the version, and the changelog: there, and harmless."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lxml import etree, html

from appcast.feed import Feed, Item, NotesLink
from release.notes import TYPES
from release.objects import IMMUTABLE, SHORT
from release.verify.rows import Rows, Wrong
from release.verify.web import Answer, Web
from signing import eddsa

if TYPE_CHECKING:
    from lxml.html import HtmlElement

UNSAFE = ("script", "iframe", "object", "embed", "form", "base")


def check_notes(site: str, web: Web, item: Item, keys: Sequence[str], rows: Rows) -> None:
    """Check the notes of one item, in every language: type, caching, signature, length, content."""
    for link in item.release_notes:
        name = f"notes{f' ({link.language})' if link.language else ''}"
        rows.run(name, lambda link=link: _notes(web, site, link, keys), link.url)  # type: ignore[misc]
    if not item.release_notes and not item.description:
        rows.skip("notes", "this version has none")
    elif item.description and item.description_format in (None, "html"):
        rows.run("notes in the feed", lambda: (None, _sane((item.description or "").encode())))
    version = item.short_version or item.version
    page = f"{site}/releases/{version}/"
    rows.run("page of the version", lambda: _own_page(web, page, version), page)


def check_changelog(site: str, web: Web, feed: Feed, rows: Rows) -> None:
    """Check the pages with the whole changelog that items link to, each once."""
    links = {link.url: link for item in feed.items for link in item.full_release_notes}
    for url, link in links.items():
        name = f"changelog{f' ({link.language})' if link.language else ''}"
        rows.run(name, lambda link=link: _changelog(web, site, link), url)  # type: ignore[misc]
    if not links:
        rows.skip("changelog", "the feed links to none")


def _notes(web: Web, site: str, link: NotesLink, keys: Sequence[str]) -> tuple[None, str]:
    answer = _page(web, site, link).expect(200, cache_control=IMMUTABLE)
    if link.signature is None:
        raise Wrong("the feed has no signature for them", cure="sign the notes, as a new build")
    content = b""
    for number, key in enumerate(keys):
        try:
            content = eddsa.verify_notes(answer.body, link.signature, link.length, key)
            break
        except eddsa.FeedSignatureFault:
            if number == len(keys) - 1:
                raise
    return None, f"signed, {_said(answer, content)}"


def _own_page(web: Web, address: str, version: str) -> tuple[None, str]:
    """Check the page that the site makes of the feed's item."""
    cure = "deploy the site as it is here: ./invoke worker.deploy"
    answer = web.get(address)
    if answer.status != 200:
        raise Wrong("another status", expected=200, found=answer.status, cure=cure)
    answer.expect(cache_control=SHORT, content_type=TYPES[".html"])
    said = _sane(answer.body)
    if version not in answer.body.decode():
        raise Wrong("it is about something else", expected=version, cure=cure)
    return None, said


def _changelog(web: Web, site: str, link: NotesLink) -> tuple[None, str]:
    answer = _page(web, site, link).expect(200, cache_control=SHORT)
    return None, _said(answer, answer.body)


def _page(web: Web, site: str, link: NotesLink) -> Answer:
    if not link.url.startswith(f"{site}/releases/"):
        raise Wrong("the feed points elsewhere", expected=f"{site}/releases/…", found=link.url)
    answer = web.get(link.url).expect(200)
    kind = answer.headers.get("content-type", "none")
    if kind not in TYPES.values():
        raise Wrong("another type", expected=" or ".join(TYPES.values()), found=kind)
    return answer


def _said(answer: Answer, content: bytes) -> str:
    if answer.headers["content-type"].startswith("text/html"):
        return _sane(content)
    try:
        return f"{len(content.decode('utf-8'))} characters"
    except UnicodeDecodeError as error:
        raise Wrong("it is not UTF-8") from error


def _sane(data: bytes) -> str:
    """Say how much a page says; raise Wrong if that is nothing, or if it could do more than be read."""
    try:
        root = html.fromstring(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, etree.LxmlError) as error:
        raise Wrong(f"this is no HTML: {error}") from error
    unsafe = sorted(set(_unsafe(root)))
    if unsafe:
        raise Wrong(f"it holds {', '.join(unsafe)}", cure="leave them out of the changelog")
    words = "".join(str(text) for text in root.itertext()).split()
    if not words:
        raise Wrong("there is no text in it")
    return f"{len(words)} words"


def _unsafe(root: HtmlElement) -> Iterator[str]:
    for node in root.iter(etree.Element):
        if node.tag in UNSAFE:
            yield f"<{node.tag}>"
        for name, value in node.attrib.items():
            if str(name).lower().startswith("on") or str(value).strip().lower().startswith("javascript:"):
                yield f"{name}=…"
