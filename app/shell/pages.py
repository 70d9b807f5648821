"""What the window shows and where its links lead."""

from __future__ import annotations

import html
from typing import Literal
from urllib.parse import urlsplit

MESSAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
:root {{ color-scheme: light dark; font: -apple-system-body; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center; }}
main {{ padding: 2rem; max-width: 30rem; }} h1 {{ font: -apple-system-title1; }} p {{ opacity: .7; }}
</style><main role="status"><h1>{title}</h1><p>{text}</p></main></html>"""


def message(title: str, text: str) -> str:
    """Give a page of HTML that says only this; for a window without a server behind it."""
    return MESSAGE.format(title=html.escape(title), text=html.escape(text))


def origin(url: str) -> str:
    """Give the origin of an address: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def fate(url: str, own: str) -> Literal["here", "browser", "nowhere"]:
    """Say where an address opens that the window is led to: what is not the app's own opens in the browser.

    `own` is the origin of the app's pages. Nothing but web and mail leaves: other schemes start programs.
    """
    if url == "about:blank" or (own and origin(url) == own):
        return "here"
    return "browser" if urlsplit(url).scheme in ("http", "https", "mailto") else "nowhere"
