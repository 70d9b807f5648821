"""Sites that answer wrongly: without ranges, with a page for everything, without an end."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from release.rehearsal.site import Site, route
from release.verification import Verification
from release.verify import Expected, Limits, verify_site
from release.verify.rows import Wrong
from release.verify.web import Web
from tests.standins import shipped
from tests.standins.shipped import SITE, Release
from tests.standins.store import MemoryStore

pytestmark = pytest.mark.xdist_group("verify")

Headers = dict[bytes, bytes]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return shipped.make(tmp_path_factory.mktemp("web"), "7")


@pytest.fixture
def verify(release: Release, tmp_path: Path) -> Callable[..., Verification]:
    def run(site: type[Site], limits: Limits | None = None) -> Verification:
        store = shipped.publish(MemoryStore(), release)
        with site(store, latest=shipped.LATEST) as running, requests.Session() as session:
            route(session, SITE, running.url)
            work = tmp_path / "work"
            return verify_site(SITE, session=session, workdir=work, expected=Expected(), limits=limits)

    return run


def failed(verification: Verification) -> set[str]:
    macs = {row.name for row in verification.rows if row.group == "who is offered what"}
    return {row.name for row in verification.failed} - macs


class Otherwise(Site):
    """Changes what is asked, or what is answered."""

    def asked(self, headers: Headers) -> Headers:
        return headers

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return status, headers

    def body(self, scope: Scope, data: bytes) -> bytes:
        return data

    def around(self, app: ASGIApp) -> ASGIApp:
        async def changed(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status, headers = self.head(scope, message["status"], dict(message["headers"]))
                    message = {**message, "status": status, "headers": list(headers.items())}
                else:
                    message = {**message, "body": self.body(scope, message.get("body", b""))}
                await send(message)

            headers = list(self.asked(dict(scope["headers"])).items())
            await app({**scope, "headers": headers}, receive, sending)

        return changed


class NoRanges(Otherwise):
    """Gives the whole whatever part is asked for."""

    def asked(self, headers: Headers) -> Headers:
        return without(headers, b"range")


class IgnoresIfRange(Otherwise):
    """Gives a part of this version to who has begun with another."""

    def asked(self, headers: Headers) -> Headers:
        return without(headers, b"if-range")


class WrongRanges(Otherwise):
    """Gives the right number of wrong bytes."""

    def body(self, scope: Scope, data: bytes) -> bytes:
        return bytes(len(data)) if b"range" in dict(scope["headers"]) else data


class AlwaysWhole(Otherwise):
    """Sends again what the client has."""

    def asked(self, headers: Headers) -> Headers:
        return without(headers, b"if-none-match")


class SoftAbsence(Otherwise):
    """Has a friendly page for everything that is not there."""

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return (200 if status == 404 else status), headers


class NoTag(Otherwise):
    """Has no entity tags."""

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return status, without(headers, b"etag")


class OtherHead(Otherwise):
    """Tells another length on HEAD."""

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return status, headers | ({b"content-length": b"0"} if scope["method"] == "HEAD" else {})


class NoPages(Otherwise):
    """Has no page for a version, as a site of before has none."""

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return (404 if scope["path"] == "/releases/1.7/" else status), headers


class OnePage(Otherwise):
    """Has the same page for every version."""

    def body(self, scope: Scope, data: bytes) -> bytes:
        return data.replace(b"1.7", b"1.5") if scope["path"] == "/releases/1.7/" else data


class Direct(Site):
    """Has the image at /download itself."""

    def around(self, app: ASGIApp) -> ASGIApp:
        async def direct(scope: Scope, receive: Receive, send: Send) -> None:
            path = f"/releases/{shipped.LATEST}" if scope["path"] == "/download" else scope["path"]
            await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

        return direct


class Circle(Otherwise):
    """Leads from the download button to the download button."""

    def head(self, scope: Scope, status: int, headers: Headers) -> tuple[int, Headers]:
        return status, headers | ({b"location": b"/download"} if b"location" in headers else {})


class Breaks(Otherwise):
    """Ends an image in its middle."""

    def body(self, scope: Scope, data: bytes) -> bytes:
        return data[: len(data) // 2] if scope["path"].endswith(".dmg") else data


def without(headers: Headers, name: bytes) -> Headers:
    return {one: value for one, value in headers.items() if one != name}


@pytest.mark.parametrize(
    ("site", "rows"),
    [
        (NoRanges, {"ranges", "ranges of another version"}),
        (IgnoresIfRange, {"ranges of another version"}),
        (WrongRanges, {"ranges"}),
        (AlwaysWhole, {"feed caching", "image caching", "latest caching"}),
        (SoftAbsence, {"what is not there"}),
        (NoTag, {"feed caching", "image caching", "latest caching"}),
        (OtherHead, {"feed caching", "image caching", "latest caching", "objects of 7"}),
        (NoPages, {"page of the version"}),
        (OnePage, {"page of the version"}),
        (Direct, {"download button"}),
        (Circle, {"download button"}),
        (Breaks, {"image", "download button"}),
    ],
)
def test_a_site_that_answers_wrongly_is_seen(
    verify: Callable[..., Verification], site: type[Site], rows: set[str]
) -> None:
    assert failed(verify(site)) >= rows


def test_a_release_that_is_larger_than_the_limit_is_given_up(verify: Callable[..., Verification]) -> None:
    verification = verify(Site, Limits(file=1000))
    assert failed(verification) >= {"image", "download button"}
    assert any("no end to it" in row.detail for row in verification.failed)


class Endless(Site):
    """Sends more than anybody takes."""

    def around(self, app: ASGIApp) -> ASGIApp:
        async def endless(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for _ in range(20_000):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})

        return endless


def test_what_has_no_end_is_given_up(tmp_path: Path) -> None:
    with Endless(MemoryStore()) as site, requests.Session() as session:
        with pytest.raises(Wrong, match="no end"):
            Web(session, Limits(page=1 << 20)).get(site.url)
        with pytest.raises(Wrong, match="not done after"):
            Web(session, Limits(seconds=0.05)).get(site.url)
        with pytest.raises(Wrong, match="no end"):
            Web(session, Limits(file=1 << 20)).download(site.url, tmp_path / "x", lambda answer: None)
        assert (tmp_path / "x").stat().st_size <= 1 << 21


def test_a_lie_about_the_length_is_no_download(tmp_path: Path) -> None:
    class Short(Site):
        def around(self, app: ASGIApp) -> ASGIApp:
            async def short(scope: Scope, receive: Receive, send: Send) -> None:
                headers = [(b"content-length", b"10")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": b"five!"})

            return short

    with (
        Short(MemoryStore()) as site,
        requests.Session() as session,
        pytest.raises(requests.RequestException),
    ):
        Web(session).download(site.url, tmp_path / "x", lambda answer: None)


def test_nobody_is_led_from_https_to_http() -> None:
    class Leads(requests.Session):
        def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer.url, answer.raw = 200, "http://example.test/", io.BytesIO()
            return answer

    with Leads() as session, pytest.raises(Wrong, match="from https to http"):
        Web(session).get("https://example.test/")
