"""Release notes from changelogs in the manner of Keep a Changelog.

One version's section goes into the feed. With translations (CHANGELOG.<language>.md) each language gets a
page of its own that the feed links to, and on request the whole changelog becomes a page too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from errors import Exit, Fault

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

    from release.config import NotesRules

Format = Literal["html", "markdown"]
Kind = Literal["notes", "full"]

CHANGELOG = "CHANGELOG.md"
UNRELEASED = "Unreleased"
TYPES = {".html": "text/html; charset=utf-8", ".md": "text/markdown; charset=utf-8"}

_HEADING = re.compile(r"\[?v?(?P<version>[^\]\s]+)\]?")
_TRANSLATION = re.compile(r"CHANGELOG\.(?P<language>[a-z]{2,3}(-[A-Za-z0-9]{2,8})*)\.md")
_SAFE_LINK = re.compile(r"(https?:|mailto:|#)|(?![A-Za-z][A-Za-z0-9+.-]*:)")
_STYLE = (
    "body{font:14px/1.5 -apple-system,system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em}"
    ":root{color-scheme:light dark}code{font-size:.92em}"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A file to publish: one version's notes, never changed again, or the whole changelog of today."""

    name: str
    kind: Kind
    language: str
    data: bytes

    @property
    def content_type(self) -> str:
        """What it is served as."""
        return TYPES[Path(self.name).suffix]


@dataclass(frozen=True, slots=True)
class Notes:
    """All notes of a release: what the feed embeds, the same as HTML, and the pages beside the feed."""

    embedded: str
    html: str
    pages: tuple[Page, ...]


def compose(
    root: Path, rules: NotesRules, *, app_name: str, version: str, build: str, allow_unreleased: bool
) -> Notes:
    """Make a release's notes from the changelogs in `root`. Raises Fault, status APPCAST, as `notes` does."""
    languages = {rules.language: root / CHANGELOG, **translations(root)}
    form: Format = rules.format
    texts = {
        language: notes(path, version, allow_unreleased=allow_unreleased, form=form, html=rules.allow_html)
        for language, path in languages.items()
    }
    pages = []
    for one in planned(root, rules, version=version, build=build):
        if one.kind == "full":
            body = full(read(languages[one.language]), unreleased=allow_unreleased, html=rules.allow_html)
            data = page(app_name, one.language, body)
        elif form == "html":
            data = page(f"{app_name} {version}", one.language, texts[one.language])
        else:
            data = f"{texts[one.language]}\n".encode()
        pages.append(replace(one, data=data))
    main = root / CHANGELOG
    html = notes(main, version, allow_unreleased=allow_unreleased, html=rules.allow_html)
    return Notes(texts[rules.language], html, tuple(pages))


def planned(root: Path, rules: NotesRules, *, version: str, build: str) -> tuple[Page, ...]:
    """Return the pages that `compose` makes, in its order, still empty."""
    languages = {rules.language: None, **dict.fromkeys(translations(root))}
    suffix = ".html" if rules.format == "html" else ".md"
    pages = []
    if len(languages) > 1:  # Sparkle prefers links to what is embedded, so the first language needs one too
        for language in languages:
            pages.append(Page(f"notes-{version}-{build}.{language}{suffix}", "notes", language, b""))
    if rules.full_page:
        for language in languages:
            name = "notes.html" if language == rules.language else f"notes.{language}.html"
            pages.append(Page(name, "full", language, b""))
    return tuple(pages)


def translations(root: Path) -> dict[str, Path]:
    """Find CHANGELOG.<language>.md in `root`: language → path, in the languages' order."""
    found = ((_TRANSLATION.fullmatch(path.name), path) for path in sorted(root.glob("CHANGELOG.*.md")))
    return {match["language"]: path for match, path in found if match}


def notes(
    changelog: Path, version: str, *, allow_unreleased: bool, form: Format = "html", html: bool = False
) -> str:
    """Return `version`'s section of a changelog as HTML or Markdown.

    `allow_unreleased` (rehearsals) falls back to the section `[Unreleased]`; `html` lets the changelog's own
    HTML through, sanitized. Raises Fault, status APPCAST, naming the heading to write, if the section is
    missing or empty.
    """
    text = read(changelog)
    for name in (version, UNRELEASED) if allow_unreleased else (version,):
        found = section(text, name, html=html) if form == "html" else section_markdown(text, name, changelog)
        if found:
            return found
    raise Fault(
        f"the changelog says nothing about {version}",
        where=changelog,
        cure=f"write what changed under a heading `## [{version}] - YYYY-MM-DD`",
        status=Exit.APPCAST,
    )


def read(changelog: Path) -> str:
    """Read a changelog. Raises Fault, status APPCAST."""
    try:
        return changelog.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"the changelog cannot be read: {error}", where=changelog, status=Exit.APPCAST) from error


def section(text: str, version: str, *, html: bool = False) -> str | None:
    """Render one version's section, without its heading; None if there is none, "" if it is empty.

    CommonMark. Raw HTML in the source is shown as text, unless `html`: then what is harmless of it stays.
    Nothing in the result can run script or load anything but images.
    """
    markdown = parser(html)
    for tokens, env, name in sections(text, markdown):
        if names(name, version):
            return _sanitized(markdown.renderer.render(tokens[3:], markdown.options, env)).strip()
    return None


def section_markdown(text: str, version: str, where: Path | None = None) -> str | None:
    """Return one version's section as it is written, with the definitions of its links; see `section`.

    Markdown is rendered by the updater, out of our hands: raw HTML and links to anything but web and mail
    are refused with a Fault, status APPCAST.
    """
    lines = text.splitlines()
    for tokens, env, name in sections(text, parser(html=True)):
        if names(name, version):
            _require_plain(tokens, where)
            start, end = tokens[0].map[1], max(token.map[1] for token in tokens if token.map)
            body = "\n".join(lines[start:end]).strip()
            return "\n".join((body, *_definitions(body, env))).strip()
    return None


def full(text: str, *, unreleased: bool, html: bool = False) -> str:
    """Render a whole changelog, its introduction left out; `unreleased`: with what is not released yet."""
    markdown = parser(html)
    rendered = [
        markdown.renderer.render(tokens, markdown.options, env)
        for tokens, env, name in sections(text, markdown)
        if unreleased or not names(name, UNRELEASED)
    ]
    return _sanitized("".join(rendered)).strip()


def page(title: str, language: str, body: str) -> bytes:
    """Wrap rendered notes into a page of their own, readable in light and dark."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}'
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>{head}</title><style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    ).encode()


def parser(html: bool) -> MarkdownIt:
    """Return what reads a changelog's Markdown."""
    from markdown_it import MarkdownIt  # late: only the step `notes` needs it

    return MarkdownIt("commonmark", {"html": html})


def sections(text: str, markdown: MarkdownIt) -> Iterator[tuple[list[Any], dict[str, Any], str]]:
    """Cut a changelog at its second-level headings: tokens, link definitions, the heading's text."""
    env: dict[str, Any] = {}  # carries the link definitions, which stand at the end of the file
    tokens = markdown.parse(text, env)
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        yield tokens[start:end], env, tokens[start + 1].content


def _sanitized(html: str) -> str:
    import nh3

    return nh3.clean(html, link_rel=None, url_schemes={"http", "https", "mailto"})


def _require_plain(tokens: list[Any], where: Path | None) -> None:
    for token in tokens:
        line = f" (line {token.map[0] + 1})" if token.map else ""
        inner = token.children or ()
        if token.type == "html_block" or any(child.type == "html_inline" for child in inner):
            what = f"the changelog has raw HTML{line}, which no updater shows in Markdown"
        elif any(not _SAFE_LINK.match(_target(child)) for child in inner):
            what = f"the changelog has a link to something else than the web{line}"
        else:
            continue
        raise Fault(what, where=where, cure='remove it, or set notes.format = "html"', status=Exit.APPCAST)


def _target(token: Any) -> str:
    return str(token.attrGet("href") or token.attrGet("src") or "")


def _definitions(body: str, env: dict[str, Any]) -> list[str]:
    """Return the link definitions that the section uses, after an empty line."""
    used = [
        f"[{label.lower()}]: <{link['href']}>"
        for label, link in env.get("references", {}).items()
        if f"[{label.lower()}]" in body.lower()
    ]
    return ["", *used] if used else []


def names(heading: str, version: str) -> bool:
    """Tell whether a heading is this version's: `[1.2.3] - 2026-01-31`, `1.2.3`, `v1.2.3 (date)`."""
    found = _HEADING.match(heading.strip())
    return found is not None and found["version"].casefold() == version.casefold()
