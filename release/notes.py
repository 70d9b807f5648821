"""Release notes: one version's section of CHANGELOG.md, as HTML for the feed."""

from __future__ import annotations

import re
from pathlib import Path

from errors import Exit, Fault

_HEADING = re.compile(r"\[?v?(?P<version>[^\]\s]+)\]?")
UNRELEASED = "Unreleased"


def notes(changelog: Path, version: str, *, allow_unreleased: bool) -> str:
    """Return the HTML of `version`'s section in a Keep a Changelog file.

    `allow_unreleased` (rehearsals) falls back to the section `[Unreleased]`. Raises Fault, status APPCAST,
    naming the heading to write, if the section is missing or empty.
    """
    try:
        text = changelog.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"the changelog cannot be read: {error}", where=changelog, status=Exit.APPCAST) from error
    html = section(text, version)
    if not html and allow_unreleased:
        html = section(text, UNRELEASED)
    if html:
        return html
    raise Fault(
        f"the changelog says nothing about {version}",
        where=changelog,
        cure=f"write what changed under a heading `## [{version}] - YYYY-MM-DD`",
        status=Exit.APPCAST,
    )


def section(text: str, version: str) -> str | None:
    """Render one version's section, without its heading; None if there is none, "" if it is empty.

    CommonMark; raw HTML in the source is shown as text, and links that run script are not made links.
    """
    from markdown_it import MarkdownIt  # late: only the step `notes` needs it

    markdown = MarkdownIt("commonmark", {"html": False})
    env: dict[str, object] = {}  # carries the link definitions, which stand at the end of the file
    tokens = markdown.parse(text, env)
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        if _names(tokens[start + 1].content, version):
            html: str = markdown.renderer.render(tokens[start + 3 : end], markdown.options, env)
            return html.strip()
    return None


def _names(heading: str, version: str) -> bool:
    """Tell whether a heading is this version's: `[1.2.3] - 2026-01-31`, `1.2.3`, `v1.2.3 (date)`."""
    found = _HEADING.match(heading.strip())
    return found is not None and found["version"].casefold() == version.casefold()
