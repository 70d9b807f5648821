"""`python -m app open`: show the app's pages in a browser."""

from __future__ import annotations

import argparse
import html
import os
import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

from app import instance
from app.errors import AppError
from app.files import write_private
from app.settings import from_environment
from app.version import command

FILE = "open.html"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}"><title>Opening API for Cursor</title>
<p><a href="{link}">Open API for Cursor</a></p></html>
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("open", help="show the app's pages in a browser")
    parser.add_argument(
        "--print", action="store_true", help="only print the link: it works once, for a minute"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Open the pages, or print the link where there is no browser to open. Raises AppError."""
    from app.web.access import link

    data_dir = from_environment().data_dir
    running = instance.find(data_dir)
    if running is None:
        raise AppError("the server does not run", cure=f"start it with `{command('serve')}`")
    address = link(data_dir, running.url)
    if not arguments.print and show(address, data_dir):
        sys.stdout.write(f"The pages open in your browser. If they do not, within a minute: {address}\n")
    else:
        sys.stdout.write(f"{address}\n")
    return 0


def show(
    address: str,
    data_dir: Path,
    *,
    open_url: Callable[[str], bool] = webbrowser.open,
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
) -> bool:
    """Open `address` in the user's browser; False if there is none with a window.

    The browser is given a file that only this user can read, and which leads on: everybody may see the
    command line that a browser is started with.
    """
    if platform != "darwin" and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return False
    file = data_dir / FILE
    write_private(file, PAGE.format(link=html.escape(address)).encode())
    return open_url(file.as_uri())
