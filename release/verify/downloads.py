"""The download button, and how files are served: ranges, conditions, what is not there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from release.objects import IMAGE_TYPE, SHORT
from release.verify.feed import PublicFeed, served_again
from release.verify.rows import Rows, Wrong
from release.verify.web import Answer, Download, Web

PIECE = 1024


def check_button(
    site: str, web: Web, public: PublicFeed, image: Callable[[], Download | None], rows: Rows
) -> None:
    """Follow the download button to its end: the bytes that the feed offers to everybody.

    `image` waits for what the feed offers them; it gives None if that could not be had.
    """
    if public.everybody is None:
        rows.skip("download button", "nothing is offered to everybody")
        return
    url = f"{site}/download"
    came = rows.run("download button", lambda: _button(web, url, image), url)
    if came is not None:
        latest = came.answer
        rows.run("latest caching", lambda: served_again(web, latest, SHORT), latest.url)
        rows.run("latest name", lambda: _saved(latest), latest.url)


def check_serving(site: str, web: Web, image: Download | None, rows: Rows) -> None:
    """Check ranges of the image, and that what is not there is said not to be there."""
    if image is None:
        rows.skip("ranges", "there is no image to compare with")
    else:
        rows.run("ranges", lambda: _ranges(web, image), image.answer.url)
        rows.run("ranges of another version", lambda: _if_range(web, image), image.answer.url)
    rows.run("what is not there", lambda: _absent(web, site), f"{site}/releases/")


def _button(web: Web, url: str, offered: Callable[[], Download | None]) -> tuple[Download, str]:
    came = web.download(url, None, lambda answer: answer.expect(200, content_type=IMAGE_TYPE))
    if not came.answer.hops:
        raise Wrong(
            "/download does not lead anywhere", expected="a redirect to the newest image", found="200"
        )
    image = offered()
    if image is None:
        raise Wrong("there is no image to compare with")
    if came.sha256 != image.sha256:
        raise Wrong(
            f"/download gives other bytes, {came.size} of them",
            where=came.answer.url,
            expected=f"sha256 {image.sha256}",
            found=f"sha256 {came.sha256}",
            cure="run the release again: it brings latest in line with the feed",
        )
    if came.answer.length != came.size:
        raise Wrong("Content-Length is not what came", expected=came.size, found=came.answer.length)
    return came, f"{urlsplit(came.answer.url).path} has the same bytes"


def _saved(answer: Answer) -> tuple[None, str]:
    given = answer.headers.get("content-disposition", "none")
    if not (given.startswith("attachment") and ".dmg" in given):
        raise Wrong("browsers would not save it", expected='attachment; filename="….dmg"', found=given)
    return None, given


def _ranges(web: Web, image: Download) -> tuple[None, str]:
    url, size = image.answer.url, image.size
    with image.path.open("rb") as file:
        head = file.read(PIECE)
        file.seek(max(0, size - PIECE))
        tail = file.read()
    spans = {f"bytes=0-{len(head) - 1}": (0, head)}
    spans |= {
        f"bytes={size - len(tail)}-": (size - len(tail), tail),
        f"bytes=-{len(tail)}": (size - len(tail), tail),
    }
    for span, (start, wanted) in spans.items():
        answer = web.peek(url, range=span).expect(206)
        answer.expect(206, content_range=f"bytes {start}-{start + len(wanted) - 1}/{size}")
        if web.get(url, range=span).body != wanted:
            raise Wrong(f"{span} gives other bytes than the whole has there", where=url)
    web.peek(url, range=f"bytes={size}-").expect(416, content_range=f"bytes */{size}")
    return None, "206 with the right bytes, 416 beyond the end"


def _if_range(web: Web, image: Download) -> tuple[None, str]:
    url, etag = image.answer.url, image.answer.headers.get("etag", "")
    web.peek(url, range="bytes=0-0", if_range=etag).expect(206)
    web.peek(url, range="bytes=0-0", if_range='"another"').expect(200)
    return None, "206 for this one, the whole for another"


def _absent(web: Web, site: str) -> tuple[None, str]:
    name = f"none-{secrets.token_hex(4)}"
    for path in (f"{name}.dmg", f"{name}.dmg.cdx.json", f"0.0.0/{name}.json"):
        answer = web.peek(f"{site}/releases/{path}")
        if answer.status != 404:
            raise Wrong(
                "what does not exist is not said to be missing",
                where=answer.url,
                expected=404,
                found=answer.status,
                cure="let the site answer 404: a page in place of an image would be taken for one",
            )
    return None, "404"
